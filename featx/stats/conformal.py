"""Prediction sets that hold the true class of a stated share of images.

A class is in the set where its conformity (`featx.artifact.conformity`; the plainest is its
probability) reaches a threshold. That is one order statistic of the conformities of true classes
out of fold (cross-conformal: Vovk, "Cross-conformal predictors", Annals of Mathematics and
Artificial Intelligence 74, 2015); for each class by itself it is Mondrian (Vovk, Gammerman and
Shafer, "Algorithmic Learning in a Random World", Springer 2005). That is a sort and an index, so
libraries for it (MAPIE, crepes), which wrap and fit classifiers themselves, would add code here
and not save any.

The guarantee is that of split conformal prediction for classifiers of single folds. The one that
ships is fitted on all folds, and the folds also chose it; what it truly covers is therefore
measured on the evaluation images, and printed.
"""

from __future__ import annotations

import numpy as np

from featx.types import FloatArray, IntArray


def fewest_images(coverage: float) -> int:
    """Images of one class from which its own threshold can be below "always in the set"."""
    return int(np.ceil(coverage / (1 - coverage) - 1e-9))


def set_thresholds(
    y: IntArray, conformity: FloatArray, *, coverage: float, over: str = "images"
) -> FloatArray:
    """The smallest conformity that puts each class into a set.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        True classes.
    conformity : ndarray of shape (n, n_classes)
        Of images that the classifier was not fitted on, in [0, 1]; for instance probabilities.
    coverage : float
        Share of new images whose true class is to be in their set, in (0, 1).
    over : {"images", "classes"}, default "images"
        ``"classes"``: the share of each class's images. Classes with fewer than `fewest_images`
        keep the threshold over all images.

    Returns
    -------
    ndarray of shape (n_classes,)
        0 puts the class into every set: there are too few images to guarantee the coverage.
    """
    own = conformity[np.arange(len(y)), y]
    n_classes = conformity.shape[1]
    thresholds = np.full(n_classes, _threshold(own, coverage))
    if over == "images":
        return thresholds
    counts = np.bincount(y, minlength=n_classes)
    for c in np.flatnonzero(counts >= fewest_images(coverage)):
        thresholds[c] = _threshold(own[y == c], coverage)
    return thresholds


def _threshold(own: FloatArray, coverage: float) -> float:
    """The order statistic above or at which a new true class's conformity lies often enough."""
    rank = int(np.floor((len(own) + 1) * (1 - coverage) + 1e-9))
    return float(np.sort(own)[rank - 1]) if rank >= 1 else 0.0
