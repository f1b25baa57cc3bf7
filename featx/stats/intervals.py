"""Metrics of one set of predictions, each with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx import console
from featx.stats.bootstrap import N_RESAMPLES, TAIL, draw_units, interval, training_stretch
from featx.stats.losses import brier_scores, describe_calibration, log_losses
from featx.stats.metrics import class_counts, class_metrics, confusion_matrix, count_metrics
from featx.stats.ranking import class_rankings, mean_defined, true_ranks
from featx.types import BoolArray, FloatArray, IntArray

RANKING_CELLS = 600_000_000  # resamples x images x classes: some seconds
MIN_RANKING_RESAMPLES = 200
TOP_K = (2, 3, 5)
LIMITS = {
    "log_loss": (0.0, np.inf),
    "brier": (0.0, 2.0),
    "matthews": (-1.0, 1.0),
    "cohen_kappa": (-1.0, 1.0),
}
RANKINGS = {"roc_auc": "roc_auc_ovr", "average_precision": "average_precision_macro"}
CLASS_AVERAGES = (
    "balanced_accuracy",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    *RANKINGS.values(),
)


@dataclass(frozen=True)
class Resampled:
    """Every metric of one set of predictions, and of its resamples.

    Parameters
    ----------
    values : dict of str to float
        NaN where a metric is not defined.
    by_class : dict of str to ndarray of shape (n_classes,)
    samples : dict of str to ndarray of shape (n_resamples,)
    class_samples : dict of str to ndarray of shape (n_resamples, n_classes)
    n_ranking : int
        Resamples of rankings; there are fewer where those of many images would take long.
    """

    values: dict[str, float]
    by_class: dict[str, FloatArray]
    samples: dict[str, FloatArray]
    class_samples: dict[str, FloatArray]
    n_ranking: int

    def interval(
        self, name: str, n_units: int, *, stretch: float, tail: float = TAIL
    ) -> dict[str, Any]:
        """One metric over all classes with its interval, as JSON."""
        return interval(
            self.values[name],
            self.samples[name],
            n_units,
            proportion=name == "accuracy" or name.startswith("top_"),
            stretch=stretch,
            limits=LIMITS.get(name, (0.0, 1.0)),
            tail=tail,
        )


def metric_values(
    y: IntArray, proba: FloatArray, y_pred: IntArray
) -> tuple[dict[str, float], dict[str, FloatArray]]:
    """Every metric, and every metric of each class (n_classes,); NaN where not defined."""
    counts = class_counts(y, y_pred, proba.shape[1])
    rankings = {name: values[0] for name, values in class_rankings(y, proba).items()}
    values = {
        **count_metrics(*counts),
        **{RANKINGS[name]: mean_defined(by_class) for name, by_class in rankings.items()},
        **{name: each.mean() for name, each in _image_means(y, proba).items()},
    }
    by_class = {**class_metrics(*counts), **rankings}
    return {name: float(value) for name, value in values.items()}, by_class


def resample_metrics(
    y: IntArray, proba: FloatArray, units: IntArray, *, seed: int, y_pred: IntArray
) -> Resampled:
    """Every metric on resamples of units; see `describe_predictions`.

    The same seed and units give the same resamples, so that those of two classifiers on the same
    images are paired.
    """
    n_ranking = _n_ranking(proba)
    values, by_class = metric_values(y, proba, y_pred)
    samples, class_samples = _resample(
        y,
        proba,
        _image_means(y, proba),
        units,
        n_ranking=n_ranking,
        seed=seed,
        y_pred=y_pred,
    )
    return Resampled(values, by_class, samples, class_samples, n_ranking)


@console.stage("Computing intervals")
def describe_predictions(
    y: IntArray,
    proba: FloatArray,
    classes: Sequence[str],
    units: IntArray,
    *,
    unit: str,
    seed: int,
    repeats: int = 1,
    y_pred: IntArray | None = None,
    n_folds: int | None = None,
    resampled: Resampled | None = None,
) -> dict[str, Any]:
    """All metrics of these predictions, with 95 % expanded percentile bootstrap intervals.

    Parameters
    ----------
    y, proba, classes
        True classes (n,), indices into ``classes``; probabilities (n, n_classes).
    units : ndarray of shape (n,), int64
        What is drawn with replacement, numbered from 0: images of one group, exact copies and
        repeated predictions of one image share a number.
    unit : str
        What a unit is called, for instance ``"groups"``.
    seed, repeats : int
        ``repeats`` predictions of each image are among the ``n``.
    y_pred : ndarray of shape (n,), int64, optional
        Predicted classes, for all that counts them; by default the most probable.
    n_folds : int, optional
        Folds of a cross-validation, which widen the intervals (`training_stretch`).
    resampled : Resampled, optional
        From `resample_metrics` with the same arguments, where it is at hand.

    Returns
    -------
    dict
        JSON: ``n_images``, ``n_units``, ``interval`` (how, in words), ``metrics`` as
        ``{name: {value, low, high}}``, ``per_class`` (``support``, and the same for each metric of
        a class), ``calibration`` (`featx.stats.losses.describe_calibration`) and
        ``confusion_matrix`` (rows are true classes). Undefined values are None.
    """
    y_pred = proba.argmax(axis=1) if y_pred is None else y_pred
    resampled = resampled or resample_metrics(y, proba, units, seed=seed, y_pred=y_pred)
    n_units, stretch = int(units.max()) + 1, training_stretch(n_folds)
    by_class = _class_intervals(resampled, y, y_pred, units, stretch)
    support = np.bincount(y, minlength=len(classes)) // repeats
    return {
        "n_images": len(y) // repeats,
        "n_units": n_units,
        "interval": _in_words(n_units, unit, resampled.n_ranking, n_folds),
        "metrics": {
            name: resampled.interval(name, n_units, stretch=stretch) for name in resampled.values
        },
        "per_class": {
            name: {"support": int(n), **intervals}
            for name, n, intervals in zip(classes, support, by_class, strict=True)
        },
        "calibration": describe_calibration(y, proba, seed=seed),
        "confusion_matrix": confusion_matrix(y, y_pred, len(classes)).tolist(),
    }


def _class_intervals(
    resampled: Resampled, y: IntArray, y_pred: IntArray, units: IntArray, stretch: float
) -> list[dict[str, Any]]:
    """Every metric of each class with its interval, as JSON."""
    n_classes = len(resampled.by_class["recall"])
    true, called = (_units_with(codes, units, n_classes) for codes in (y, y_pred))
    return [
        {
            name: interval(
                values[c],
                resampled.class_samples[name][:, c],
                int((called if name == "precision" else true)[c]),
                proportion=name in {"precision", "recall"},
                stretch=stretch,
            )
            for name, values in resampled.by_class.items()
        }
        for c in range(n_classes)
    ]


def _in_words(n_units: int, unit: str, n_ranking: int, n_folds: int | None) -> str:
    """How the intervals were made."""
    units = unit.removesuffix("s") if n_units == 1 else unit
    method = f"95 % expanded percentile bootstrap over {n_units} {units}, {N_RESAMPLES} resamples"
    if n_ranking < N_RESAMPLES:
        method += f" ({n_ranking} for rankings)"
    if n_folds is not None:
        stretch = training_stretch(n_folds)
        method += f", {stretch:.2f} times as wide for {n_folds} training sets"
    return method


def resampled_scores(
    scoring: str, y: IntArray, proba: FloatArray, units: IntArray, *, seed: int
) -> FloatArray:
    """A score on resamples of units, greater is better, shape (n_resamples,).

    The same seed and units give the same resamples, so that scores of two classifiers on the
    same images are paired. Few resamples where rankings of many images would take long.
    """
    return resampled_curves((scoring,), y, proba, units, seed=seed)[0][scoring]


def resampled_curves(
    scorings: Sequence[str], y: IntArray, proba: FloatArray, units: IntArray, *, seed: int
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Several scores as `resampled_scores` gives them, and the recall of each class.

    Returns
    -------
    scores : dict of ndarray of shape (n_resamples,)
        By name; those of rankings may be fewer.
    recalls : ndarray of shape (N_RESAMPLES, n_classes)
        NaN where a resample lacks the class.
    """
    samples, class_samples = _resample(
        y,
        proba,
        {"log_loss": log_losses(y, proba)},
        units,
        n_ranking=_n_ranking(proba) if set(scorings) & set(RANKINGS.values()) else 0,
        seed=seed,
    )
    samples["neg_log_loss"] = -samples["log_loss"]
    return {name: samples[name] for name in scorings}, class_samples["recall"]


def _n_ranking(proba: FloatArray) -> int:
    """Resamples of rankings that take some seconds."""
    most = RANKING_CELLS // max(proba.size, 1)
    return min(max(most, MIN_RANKING_RESAMPLES), N_RESAMPLES)


def _image_means(y: IntArray, proba: FloatArray) -> dict[str, FloatArray]:
    """What is a mean over images, of each image: the losses, and whether it is among the top k."""
    ranks = true_ranks(y, proba)
    return {
        "log_loss": log_losses(y, proba),
        "brier": brier_scores(y, proba),
        **{f"top_{k}_accuracy": (ranks < k).astype(float) for k in TOP_K if k < proba.shape[1]},
    }


def _units_with(codes: IntArray, units: IntArray, n_classes: int) -> IntArray:
    """How many units hold each class code, (n_classes,)."""
    table = np.zeros((int(units.max()) + 1, n_classes), dtype=bool)
    table[units, codes] = True
    return np.asarray(table.sum(axis=0))


def _resample(
    y: IntArray,
    proba: FloatArray,
    means: dict[str, FloatArray],
    units: IntArray,
    *,
    n_ranking: int,
    seed: int,
    y_pred: IntArray | None = None,
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Every metric of every resample: overall (n_resamples,), and by class (n_resamples, C)."""
    n_classes = proba.shape[1]
    y_pred = proba.argmax(axis=1) if y_pred is None else y_pred
    # Counts of each unit; those of a resample are then one product with its draws.
    everyone = np.ones(len(y), dtype=bool)
    hit, support, predictions = (
        _unit_counts(units, codes, keep, n_classes)
        for codes, keep in ((y, y == y_pred), (y, everyone), (y_pred, everyone))
    )
    sums = {name: np.bincount(units, weights=each) for name, each in means.items()}
    size = np.bincount(units).astype(float)
    blocks: list[dict[str, FloatArray]] = []
    class_blocks: list[dict[str, FloatArray]] = []
    done = 0
    for draws in draw_units(len(size), seed):
        counts = draws @ hit, draws @ support, draws @ predictions
        ranked = draws[: max(n_ranking - done, 0)]
        rankings = class_rankings(y, proba, ranked[:, units])
        blocks.append(
            {
                **count_metrics(*counts),
                **{RANKINGS[name]: mean_defined(values) for name, values in rankings.items()},
                **{name: (draws @ each) / (draws @ size) for name, each in sums.items()},
            }
        )
        class_blocks.append({**class_metrics(*counts), **rankings})
        done += len(draws)
    samples, class_samples = _concatenate(blocks), _concatenate(class_blocks)
    _drop_incomplete(samples, class_samples["recall"], present=np.bincount(y, minlength=n_classes))
    return samples, class_samples


def _drop_incomplete(
    samples: dict[str, FloatArray], recalls: FloatArray, *, present: IntArray
) -> None:
    """Blank class averages of resamples that lack a class, while most resamples lack none.

    An average over fewer classes is another quantity: without a class that is always wrong it
    would leap upwards. Where most resamples lack one, all of them are kept.
    """
    complete = np.asarray(~np.isnan(recalls[:, present > 0]).any(axis=1))
    if complete.mean() < 0.5:
        return
    for name in CLASS_AVERAGES:
        samples[name][~complete[: len(samples[name])]] = np.nan


def _concatenate(blocks: list[dict[str, FloatArray]]) -> dict[str, FloatArray]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _unit_counts(units: IntArray, codes: IntArray, keep: BoolArray, n_classes: int) -> Any:
    """Kept images by (unit, class code) as a sparse matrix."""
    from scipy.sparse import csr_array

    n_units = int(units.max()) + 1
    ones = np.ones(int(keep.sum()))
    return csr_array((ones, (units[keep], codes[keep])), shape=(n_units, n_classes))
