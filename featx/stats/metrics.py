"""Classification metrics from counts, so that thousands of resamples cost one matrix product.

Every metric but those of ranking and of probabilities needs only three counts for each class: how
many were right (``hit``), how many there were (``support``) and how many were predicted as it
(``predictions``).
"""

from __future__ import annotations

import numpy as np

from featx.stats.losses import log_losses
from featx.stats.ranking import class_rankings, mean_defined, ratio
from featx.types import FloatArray, IntArray

#: What is shown where not all metrics are.
HEADLINE = (
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "matthews",
    "top_3_accuracy",
    "roc_auc_ovr",
    "average_precision_macro",
    "log_loss",
    "brier",
)


NAMES = {
    "roc_auc_ovr": "ROC AUC",
    "f1_macro": "macro F1",
    "f1_weighted": "weighted F1",
    "average_precision_macro": "macro average precision",
    "matthews": "Matthews correlation",
    "cohen_kappa": "Cohen's kappa",
    "brier": "Brier score",
}


def metric_name(metric: str) -> str:
    """A metric in words; of scikit-learn's negated scorings that of what they negate."""
    metric = metric.removeprefix("neg_")
    return NAMES.get(metric, metric.replace("_", " "))


def lower_is_better(metric: str) -> bool:
    """Whether less of the metric is better."""
    return metric in {"log_loss", "brier"}


def confusion_matrix(y: IntArray, y_pred: IntArray, n_classes: int) -> IntArray:
    """Images by (true class, predicted class), shape (n_classes, n_classes)."""
    cells = np.bincount(y * n_classes + y_pred, minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes).astype(np.int64)


def class_counts(
    y: IntArray, y_pred: IntArray, n_classes: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``hit, support, predictions`` for each class, each of shape (n_classes,)."""
    hit = np.bincount(y[y == y_pred], minlength=n_classes)
    support = np.bincount(y, minlength=n_classes)
    predictions = np.bincount(y_pred, minlength=n_classes)
    return hit.astype(float), support.astype(float), predictions.astype(float)


def class_metrics(
    hit: FloatArray, support: FloatArray, predictions: FloatArray
) -> dict[str, FloatArray]:
    """Precision, recall and F1 of each class; NaN where one is not defined.

    Parameters
    ----------
    hit, support, predictions : ndarrays of shape (..., n_classes)

    Returns
    -------
    dict of ndarray of shape (..., n_classes)
        Precision is NaN for a class never predicted, recall for one without images, F1 for both.
    """
    return {
        "precision": ratio(hit, predictions),
        "recall": ratio(hit, support),
        "f1": ratio(2 * hit, support + predictions),
    }


def count_metrics(
    hit: FloatArray, support: FloatArray, predictions: FloatArray
) -> dict[str, FloatArray]:
    """Metrics over all classes, equal to scikit-learn's of the same names.

    Parameters
    ----------
    hit, support, predictions : ndarrays of shape (..., n_classes)

    Returns
    -------
    dict of ndarray of shape (...)
        ``accuracy``, ``balanced_accuracy`` (mean recall of the classes that have images),
        ``precision_``, ``recall_`` and ``f1_`` of ``macro`` (mean over classes that have images
        or were predicted) and ``weighted`` (by images of each class; precision is 0 for a class
        never predicted, recall 0 for one without images), ``matthews`` and ``cohen_kappa`` (NaN
        where only one class exists and was predicted).
    """
    n = support.sum(axis=-1)
    right = hit.sum(axis=-1)
    by_class = class_metrics(hit, support, predictions)
    exists = support + predictions > 0
    averages = {}
    for name, values in by_class.items():
        values = np.nan_to_num(values)
        averages[f"{name}_macro"] = values.sum(axis=-1) / exists.sum(axis=-1)
        averages[f"{name}_weighted"] = (values * support).sum(axis=-1) / n
    chance = (support * predictions).sum(axis=-1)
    covariance = right * n - chance
    variance = (n**2 - (predictions**2).sum(axis=-1)) * (n**2 - (support**2).sum(axis=-1))
    undefined = np.where(n**2 == chance, np.nan, 0.0)
    matthews = np.divide(covariance, np.sqrt(variance), out=undefined, where=variance > 0)
    return {
        "accuracy": right / n,
        "balanced_accuracy": mean_defined(by_class["recall"]),
        **averages,
        "matthews": matthews,
        "cohen_kappa": ratio(covariance, n**2 - chance),
    }


def fold_score(scoring: str, y: IntArray, proba: FloatArray) -> float:
    """Score one fold; greater is better.

    Parameters
    ----------
    scoring : str
        A name of ``FitConfig.scoring``.
    y : ndarray of shape (n,)
    proba : ndarray of shape (n, n_classes)
        The class with the largest one is the prediction.
    """
    if scoring == "neg_log_loss":
        return -float(log_losses(y, proba).mean())
    if scoring == "roc_auc_ovr":
        return float(mean_defined(class_rankings(y, proba)["roc_auc"])[0])
    counts = class_counts(y, proba.argmax(axis=1), proba.shape[1])
    return float(count_metrics(*counts)[scoring])
