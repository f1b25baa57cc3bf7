"""Paired differences between two runs: every metric, every test that fits, and the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.comparing.pairing import Paired
from featx.runs import Predictions
from featx.stats.bootstrap import training_stretch
from featx.stats.comparison import PairedTest, corrected_paired_test, holm, paired_bootstrap
from featx.stats.intervals import Resampled, metric_values, resample_metrics
from featx.stats.paired import paired_accuracy
from featx.types import FloatArray


@dataclass(frozen=True)
class Measured:
    """One run's metrics: of all images, of resamples that all runs share, and of each fold.

    Parameters
    ----------
    predictions : Predictions
    resampled : Resampled
    by_fold : dict of str to ndarray of shape (n_folds,)
        NaN where a metric is not defined; empty where one classifier judged all images. Folds of
        several partitions follow each other.
    """

    predictions: Predictions
    resampled: Resampled
    by_fold: dict[str, FloatArray]


def measure(paired: Paired, predictions: Predictions, *, seed: int) -> Measured:
    """Metrics of one of the paired runs."""
    resampled = resample_metrics(
        predictions.y,
        predictions.proba,
        paired.units,
        seed=seed,
        y_pred=predictions.y_pred,
    )
    return Measured(predictions, resampled, _by_fold(predictions) if paired.n_folds else {})


def _by_fold(predictions: Predictions) -> dict[str, FloatArray]:
    cells = np.unique(np.stack([predictions.repeat, predictions.fold], axis=1), axis=0)
    each = []
    for repeat, fold in cells:
        rows = (predictions.repeat == repeat) & (predictions.fold == fold)
        part = predictions.take(rows)
        each.append(metric_values(part.y, part.proba, part.y_pred)[0])
    return {name: np.array([values[name] for values in each]) for name in each[0]}


def describe_difference(paired: Paired, run: Measured, baseline: Measured) -> dict[str, Any]:
    """The run less the baseline, as JSON.

    Returns
    -------
    dict
        ``metrics``: for each one ``value`` (difference of the pooled metrics, None where not
        defined) and ``tests``, the one to go by first, each with ``method, mean, low, high, p``;
        ``images``: how many ``both`` get right, only the run (``wins``), only the baseline
        (``losses``), ``neither``, and how many are ``told_apart`` (predicted differently);
        ``per_class``: for each class ``support`` (predictions of it), ``wins``, ``losses`` and
        ``recall``, the difference.
    """
    y = paired.first.y
    right, before = run.predictions.y_pred == y, baseline.predictions.y_pred == y
    wins, losses = right & ~before, before & ~right
    metrics = {
        name: {
            "value": None if np.isnan(difference) else difference,
            "tests": _tests(paired, run, baseline, name, int(wins.sum()), int(losses.sum())),
        }
        for name, difference in _pooled(run, baseline).items()
    }
    return {
        "metrics": metrics,
        "images": {
            "both": int((right & before).sum()),
            "wins": int(wins.sum()),
            "losses": int(losses.sum()),
            "neither": int((~right & ~before).sum()),
            "told_apart": int((run.predictions.y_pred != baseline.predictions.y_pred).sum()),
        },
        "per_class": {
            name: _of_class(y == c, wins, losses) for c, name in enumerate(paired.classes)
        },
    }


def _pooled(run: Measured, baseline: Measured) -> dict[str, float]:
    before = baseline.resampled.values
    return {name: value - before[name] for name, value in run.resampled.values.items()}


def _of_class(
    rows: NDArray[np.bool_], wins: NDArray[np.bool_], losses: NDArray[np.bool_]
) -> dict[str, Any]:
    n, won, lost = int(rows.sum()), int((rows & wins).sum()), int((rows & losses).sum())
    return {"support": n, "wins": won, "losses": lost, "recall": (won - lost) / n if n else None}


def _tests(
    paired: Paired, run: Measured, baseline: Measured, metric: str, wins: int, losses: int
) -> list[dict[str, Any]]:
    """All tests that fit, the one to go by first.

    One classifier that judged all images once: exact McNemar for accuracy on images that stand
    for themselves, the bootstrap for everything else. Classifiers of folds: the corrected
    resampled t-test, which knows that other training images would have given others.
    """
    tests = _fold_tests(paired, run, baseline, metric)
    tests += _bootstrap_tests(paired, run, baseline, metric)
    if metric != "accuracy" or not paired.independent:
        return tests
    exact = asdict(paired_accuracy(wins, losses, len(paired.first)))
    if paired.n_folds is None:
        return [{"method": "exact McNemar test", **exact}, *tests]
    method = "exact McNemar test, as if one classifier had judged all images"
    return [*tests, {"method": method, **exact}]


def _fold_tests(
    paired: Paired, run: Measured, baseline: Measured, metric: str
) -> list[dict[str, Any]]:
    """The t-test over folds, where each fold has the metric and the differences vary.

    Two or three folds can differ by the very same number of images: that is no certainty.
    """
    if paired.n_folds is None or paired.n_folds < 2:
        return []
    differences = run.by_fold[metric] - baseline.by_fold[metric]
    if np.isnan(differences).any() or (np.ptp(differences) == 0 and differences[0] != 0):
        return []
    test = corrected_paired_test(differences, test_ratio=1 / (paired.n_folds - 1))
    method = f"corrected resampled t-test over {len(differences)} folds"
    if paired.n_repeats > 1:
        method += f" of {paired.n_repeats} partitions"
    return [{"method": method, **asdict(test)}]


def _bootstrap_tests(
    paired: Paired, run: Measured, baseline: Measured, metric: str
) -> list[dict[str, Any]]:
    value = _pooled(run, baseline)[metric]
    if paired.n_units < 2 or np.isnan(value):
        return []
    one, other = run.resampled.samples[metric], baseline.resampled.samples[metric]
    stretch = training_stretch(paired.n_folds)
    test: PairedTest = paired_bootstrap(value, one - other, paired.n_units, stretch=stretch)
    kind = "paired" if paired.unit == "images" else "cluster"
    method = f"{kind} bootstrap over {paired.n_units:,} {paired.unit}"
    if paired.n_folds is not None:
        method += f", {stretch:.2f} times as wide for {paired.n_folds} training sets"
    return [{"method": method, **asdict(test)}]


def adjust(differences: Sequence[Mapping[str, Any]]) -> None:
    """Put ``p_adjusted`` (Holm) beside each metric's first test, for all runs compared."""
    for metric in differences[0]["metrics"]:
        rows = [each["metrics"][metric] for each in differences]
        tested = [row for row in rows if row["tests"]]
        for row, p in zip(tested, holm([row["tests"][0]["p"] for row in tested]), strict=True):
            row["p_adjusted"] = float(p)
