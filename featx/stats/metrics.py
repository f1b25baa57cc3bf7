"""Classification metrics from counts, so that thousands of resamples cost one matrix product.

Every metric but the ranking and the likelihood ones needs only three counts for each class: how
many were right (``hit``), how many there were (``true``) and how often it was said (``said``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COUNT_METRICS",
    "class_counts",
    "class_metrics",
    "confusion_matrix",
    "count_metrics",
    "fold_score",
    "log_losses",
    "roc_auc_ovr",
]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

COUNT_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "f1_weighted",
    "matthews",
    "cohen_kappa",
)


def confusion_matrix(y: Int, predicted: Int, n_classes: int) -> Int:
    """Images by (true class, predicted class), shape (n_classes, n_classes)."""
    cells = np.bincount(y * n_classes + predicted, minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes).astype(np.int64)


def class_counts(y: Int, predicted: Int, n_classes: int) -> tuple[Float, Float, Float]:
    """``hit, true, said`` for each class, each of shape (n_classes,)."""
    hit = np.bincount(y[y == predicted], minlength=n_classes)
    true = np.bincount(y, minlength=n_classes)
    said = np.bincount(predicted, minlength=n_classes)
    return hit.astype(float), true.astype(float), said.astype(float)


def _ratio(top: Float, bottom: Float) -> Float:
    """``top / bottom``, NaN where ``bottom`` is 0."""
    return np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=bottom != 0)


def class_metrics(hit: Float, true: Float, said: Float) -> dict[str, Float]:
    """Precision, recall and F1 of each class; NaN where one is not defined.

    Parameters
    ----------
    hit, true, said : ndarrays of shape (..., n_classes)

    Returns
    -------
    dict of ndarray of shape (..., n_classes)
        Precision is NaN for a class never said, recall for one without images, F1 for both.
    """
    return {
        "precision": _ratio(hit, said),
        "recall": _ratio(hit, true),
        "f1": _ratio(2 * hit, true + said),
    }


def count_metrics(hit: Float, true: Float, said: Float) -> dict[str, Float]:
    """Metrics over all classes, equal to scikit-learn's of the same names.

    Parameters
    ----------
    hit, true, said : ndarrays of shape (..., n_classes)

    Returns
    -------
    dict of ndarray of shape (...)
        ``accuracy``, ``balanced_accuracy`` (mean recall of the classes that have images),
        ``f1_macro`` (mean over classes that have images or were said), ``f1_weighted``,
        ``matthews`` and ``cohen_kappa`` (NaN where only one class exists and was said).
    """
    n = true.sum(axis=-1)
    right = hit.sum(axis=-1)
    by_class = class_metrics(hit, true, said)
    chance = (true * said).sum(axis=-1)
    covariance = right * n - chance
    variance = (n**2 - (said**2).sum(axis=-1)) * (n**2 - (true**2).sum(axis=-1))
    matthews = np.divide(
        covariance, np.sqrt(variance), out=np.zeros(np.shape(n)), where=variance > 0
    )
    return {
        "accuracy": right / n,
        "balanced_accuracy": _mean_defined(by_class["recall"]),
        "f1_macro": _mean_defined(by_class["f1"]),
        "f1_weighted": np.nansum(by_class["f1"] * true, axis=-1) / n,
        "matthews": matthews,
        "cohen_kappa": _ratio(covariance, n**2 - chance),
    }


def _mean_defined(values: Float) -> Float:
    """Mean over the last axis of what is not NaN."""
    defined = ~np.isnan(values)
    return np.asarray(np.where(defined, values, 0.0).sum(axis=-1) / defined.sum(axis=-1))


def log_losses(y: Int, probabilities: Float) -> Float:
    """Minus the natural logarithm of each true class's probability, shape (n,).

    Probabilities are clipped to the smallest float64 step, as scikit-learn does.
    """
    own = probabilities[np.arange(len(y)), y]
    return -np.log(np.clip(own, np.finfo(np.float64).eps, 1.0))


def roc_auc_ovr(y: Int, probabilities: Float, weights: Float | None = None) -> Float:
    """Area under the ROC curve, each class against the rest, mean over classes.

    Parameters
    ----------
    y : ndarray of shape (n,)
    probabilities : ndarray of shape (n, n_classes)
    weights : ndarray of shape (n_resamples, n), optional
        How often each image is in each resample; once each by default.

    Returns
    -------
    ndarray of shape (n_resamples,)
        Classes without images, or with all of them, are left out; NaN where none is left.

    Notes
    -----
    With images sorted by score, the area is the weighted share of (class, rest) pairs in the
    right order. Counting each image of the class against *all* images and taking off the half
    square of the class's own weight gives the same with one cumulative sum.
    """
    weights = np.ones((1, len(y))) if weights is None else weights
    areas = [
        _auc_one(y == c, probabilities[:, c], weights)
        for c in range(probabilities.shape[1])
        if 0 < (y == c).sum() < len(y)
    ]
    if not areas:
        return np.full(len(weights), np.nan)
    return _mean_or_nan(np.stack(areas, axis=-1))


def _mean_or_nan(values: Float) -> Float:
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(float))


def _auc_one(positive: NDArray[np.bool_], score: Float, weights: Float) -> Float:
    """Weighted area for one class in each resample; ties count half."""
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    cumulative = np.zeros((len(weights), len(order) + 1))
    np.cumsum(weights[:, order], axis=1, out=cumulative[:, 1:])
    own = score[positive]
    below = cumulative[:, np.searchsorted(ranked, own, side="left")]
    upto = cumulative[:, np.searchsorted(ranked, own, side="right")]
    own_weights = weights[:, positive]
    total = own_weights.sum(axis=1)
    wins = (own_weights * (below + upto)).sum(axis=1) / 2 - total**2 / 2
    return _ratio(wins, total * (cumulative[:, -1] - total))


def fold_score(scoring: str, y: Int, probabilities: Float) -> float:
    """Score one fold; greater is better.

    Parameters
    ----------
    scoring : str
        A name of ``FitConfig.scoring``.
    y : ndarray of shape (n,)
    probabilities : ndarray of shape (n, n_classes)
        The class with the largest one is the prediction.
    """
    if scoring == "neg_log_loss":
        return -float(log_losses(y, probabilities).mean())
    if scoring == "roc_auc_ovr":
        return float(roc_auc_ovr(y, probabilities)[0])
    counts = class_counts(y, probabilities.argmax(axis=1), probabilities.shape[1])
    return float(count_metrics(*counts)[scoring])
