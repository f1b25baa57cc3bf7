"""Metrics of the order in which probabilities put images: ROC area, average precision, top k."""

from __future__ import annotations

import numpy as np

from featx.types import BoolArray, FloatArray, IntArray


def ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """``top / bottom``, NaN where ``bottom`` is 0."""
    return np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=bottom != 0)


def mean_defined(values: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(float))


def true_ranks(y: IntArray, proba: FloatArray) -> IntArray:
    """Place of each image's true class among its classes, from 0; of equals the first wins.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    proba : ndarray of shape (n, n_classes)

    Returns
    -------
    ndarray of shape (n,), int64
        0 where the true class is the predicted one, below k where it is among the best k.
    """
    own = proba[np.arange(len(y)), y][:, None]
    before = np.arange(proba.shape[1]) < y[:, None]
    return np.asarray(((proba > own) | ((proba == own) & before)).sum(axis=1))


def class_rankings(
    y: IntArray, proba: FloatArray, weights: FloatArray | None = None
) -> dict[str, FloatArray]:
    """Ranking metrics of each class against the rest, equal to scikit-learn's.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    proba : ndarray of shape (n, n_classes)
    weights : ndarray of shape (n_resamples, n), optional
        How often each image is in each resample; once each by default.

    Returns
    -------
    dict of ndarray of shape (n_resamples, n_classes)
        ``roc_auc`` (area under the ROC curve; with two classes the usual one) and
        ``average_precision`` (area under the precision-recall steps). NaN for a class without
        images, the ROC area also for one that has them all.
    """
    weights = np.ones((1, len(y))) if weights is None else weights
    drawn = np.ascontiguousarray(weights.T)
    both = [_rank_one(y == c, s, drawn) for c, s in enumerate(proba.T)]
    return {
        name: np.stack([pair[i] for pair in both], axis=-1)
        for i, name in enumerate(("roc_auc", "average_precision"))
    }


def roc_areas(positive: BoolArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    """Area under the ROC curve of one score in each resample, shape (n_resamples,).

    Parameters
    ----------
    positive : ndarray of shape (n,), bool
    score : ndarray of shape (n,)
    weights : ndarray of shape (n_resamples, n)
        How often each image is in each resample.
    """
    return _rank_one(positive, score, np.ascontiguousarray(weights.T))[0]


def _rank_one(
    positive: BoolArray, score: FloatArray, drawn: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weighted ROC area and average precision of one class in each resample.

    With images sorted by score, the area is the weighted share of (class, rest) pairs in the
    right order, ties counting half. Counting each image of the class against *all* images and
    taking off the half square of the class's own weight gives the same with one cumulative sum.
    Average precision is the mean, over the class's images, of the precision among the images
    that score at least as much. ``drawn`` are weights of shape (n, n_resamples).
    """
    if not positive.any():
        nothing = np.full(drawn.shape[1], np.nan)
        return nothing, nothing
    levels = np.unique(score[positive])
    below, at = _cumulated(score, drawn, levels)
    own_below, own_at = _cumulated(score[positive], drawn[positive], levels)
    total, everything = own_below[-1] + own_at[-1], drawn.sum(axis=0)
    wins = (own_at * (below + at / 2)).sum(axis=0) - total**2 / 2
    area = ratio(wins, total * (everything - total))
    precision = ratio(total - own_below, everything - below)
    average = ratio((own_at * np.nan_to_num(precision)).sum(axis=0), total)
    return area, average


def _cumulated(
    score: FloatArray, drawn: FloatArray, levels: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weight of the images that score less than each level, and of those that score as much.

    Weights are added up between levels first, which are far fewer than images.
    """
    from scipy.sparse import csr_array

    # Odd places are at a level, even ones between two: below and at come out of one product.
    places = np.searchsorted(levels, score, "left") + np.searchsorted(levels, score, "right")
    n = len(score)
    between = csr_array((np.ones(n), (places, np.arange(n))), shape=(2 * len(levels) + 1, n))
    sums = between @ drawn
    at, below = sums[1::2], sums[:-1:2].copy()
    below[1:] += at[:-1]
    return np.cumsum(below, axis=0), at
