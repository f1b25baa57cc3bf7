"""The probability from which a class is decided for, so that it reaches a recall or precision."""

from __future__ import annotations

import numpy as np

from featx.types import BoolArray, FloatArray

__all__ = ["tune_cutoff"]


def tune_cutoff(own: BoolArray, proba: FloatArray, metric: str, target: float) -> float:
    """The cutoff that reaches ``target`` at the least loss of the other of the two metrics.

    Parameters
    ----------
    own : ndarray of shape (n,), bool
        Which images are of the class.
    proba : ndarray of shape (n,), float64
        Of the class, of images that the classifier was not fitted on.
    metric : {"recall", "precision"}
    target : float
        In (0, 1].

    Returns
    -------
    float
        The class is decided for at or above it. For a recall the largest cutoff that reaches it;
        for a precision the smallest. A precision that no cutoff reaches: where it is highest.
        Without images of the class 0.5.
    """
    if not own.any():
        return 0.5
    cutoffs, inverse = np.unique(proba, return_inverse=True)
    # From the largest probability down: how many are decided for at each cutoff, and how many of
    # those rightly.
    called = np.bincount(inverse)[::-1].cumsum()[::-1]
    right = np.bincount(inverse, weights=own)[::-1].cumsum()[::-1]
    reached = right / (own.sum() if metric == "recall" else called)
    enough = np.flatnonzero(reached >= target - 1e-12)
    if metric == "recall":
        return float(cutoffs[enough[-1]])
    return float(cutoffs[enough[0] if len(enough) else reached.argmax()])
