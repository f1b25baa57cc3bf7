"""The reference sample of training images that a model keeps, for the test for drift."""

from __future__ import annotations

import numpy as np

from featx.artifact.drift import Drift, locate
from featx.artifact.trust import DriftSample
from featx.data.splits import link_components
from featx.fitting.data import Part
from featx.fitting.held import HeldOut
from featx.stats.drift import DriftAxes, carried_over, class_axes, class_contrasts, fit_axes
from featx.types import BoolArray, Float32Array, IntArray

MOST_IMAGES = 1000  # of the sample: what a small file holds, and enough to see what matters
LEAST_IMAGES = 20  # of the sample and to fit axes on; fewer show nothing
MOST_FITTED = 5000  # axes of more images are no better


def fit_drift(
    X: Float32Array,
    part: Part,
    held: HeldOut,
    *,
    seed: int,
    unseen: BoolArray | None = None,
    first: Float32Array | None = None,
) -> tuple[DriftSample | None, Drift | None]:
    """Axes from half of the images, and a sample of the others on them.

    Axes fitted on the sample itself would flatter it: along them it would be spread wider than any
    new image. What belongs together (groups, exact copies) is not torn apart. Predictions are of
    classifiers that had not seen the image.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
        Embeddings of all images of ``part``, all columns that the model reads.
    part : Part
    held : HeldOut
        What is predicted for the images by classifiers that were not fitted on them.
    seed : int
    unseen : ndarray of shape (n,), bool, optional
        Images that the backbone was not trained on: the sample is of these, axes are of all
        others. By default no image trained the backbone, and one half is taken.
    first : ndarray of shape (n, n_features), float32, optional
        Where ``X`` is of a backbone that was trained on the unseen images too: embeddings by one
        that was not. The sample is of these, carried over to the other one's axes.

    Returns
    -------
    DriftSample or None, Drift or None
        None where there are too few images to show anything.
    """
    rng = np.random.default_rng(seed)
    place = dict(zip(held.part.ids, range(len(held.part)), strict=True))
    sampled = _half(part.components, rng) if unseen is None else unseen
    fitted = np.flatnonzero(~sampled)
    rows = np.flatnonzero(sampled & np.isin(part.ids, held.part.ids))
    if min(len(fitted), len(rows)) < LEAST_IMAGES:
        return None, None
    some = _some(fitted, MOST_FITTED, rng)
    rows = _some(rows, MOST_IMAGES, rng)
    if first is None:
        axes = fit_axes(X[some], seed=seed)
        located = locate(X[rows], *axes)
    else:
        axes, located = _carried(X, first, part.y, fitted, some, rows)
    places = np.array([place[part.ids[i]] for i in rows])
    drift = Drift(
        centre=axes.centre,
        scale=axes.scale,
        directions=axes.directions,
        places=located,
        blocks=link_components(part.components[rows]),
        predicted=held.y_pred[places],
        probabilities=held.proba[places, held.y_pred[places]].astype(np.float32),
    )
    return DriftSample(images=len(rows), grouped=part.grouped), drift


def _carried(
    X: Float32Array,
    first: Float32Array,
    y: IntArray,
    fitted: IntArray,
    some: IntArray,
    rows: IntArray,
) -> tuple[DriftAxes, Float32Array]:
    """Axes of a backbone, and where rows that it was trained on would lie if it were not.

    They lie where a backbone puts them that was trained on the ``fitted`` rows alone, on the same
    axes between classes; the places of ``some`` of these say what that is in the other.
    """
    contrasts = class_contrasts(first[fitted], y[fitted])
    axes, there = class_axes(X, y, contrasts), class_axes(first[fitted], y[fitted], contrasts)
    theirs, ours = locate(first[some], *there), locate(X[some], *axes)
    return axes, carried_over(locate(first[rows], *there), theirs, ours)


def _half(components: IntArray, rng: np.random.Generator) -> BoolArray:
    """About half of the images, by whole components."""
    order = rng.permutation(int(components.max()) + 1)
    sizes = np.bincount(components, minlength=len(order))[order]
    # whole components in random order, until half of the images are reached
    kept = order[: int(np.searchsorted(sizes.cumsum(), len(components) / 2)) + 1]
    return np.isin(components, kept)


def _some(rows: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    """At most so many of the rows, in their order."""
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
