"""Metrics of one set of predictions, each with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.stats.metrics import (
    class_counts,
    class_metrics,
    confusion_matrix,
    count_metrics,
    log_losses,
    roc_auc_ovr,
)

__all__ = ["N_RESAMPLES", "describe_predictions"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

N_RESAMPLES = 2000
BLOCK_CELLS = 4_000_000  # resamples x images held at once: 32 MB
RANKING_CELLS = 600_000_000  # resamples x images x classes: about 3 s
MIN_RANKING_RESAMPLES = 200
CLASS_AVERAGES = ("balanced_accuracy", "f1_macro", "roc_auc_ovr")
PERCENTILES = (2.5, 97.5)


def describe_predictions(
    y: Int, probabilities: Float, classes: Sequence[str], units: Int, *, unit: str, seed: int
) -> dict[str, Any]:
    """All metrics of these predictions, with 95 % percentile bootstrap intervals.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        True classes, indices into ``classes``.
    probabilities : ndarray of shape (n, n_classes)
        The class with the largest one is the prediction.
    classes : sequence of str
    units : ndarray of shape (n,), int64
        What is drawn with replacement, numbered from 0: images that share a number (a group,
        exact copies) are drawn together.
    unit : str
        What a unit is called, for instance ``"groups"``.
    seed : int

    Returns
    -------
    dict
        JSON: ``n_images``, ``n_units``, ``interval`` (how, in words), ``metrics`` as
        ``{name: {value, low, high}}``, ``per_class`` (for each class ``support`` and the same
        for precision, recall and f1), ``confusion_matrix`` (rows are true classes). Undefined
        values are None.

    Notes
    -----
    Resamples that lack a class are left out of the intervals of averages over classes, as long
    as at least half of the resamples lack none.

    The interval says how the numbers would vary with other images like these; how they would
    vary with other training images it does not say.
    """
    n_classes = len(classes)
    predicted = probabilities.argmax(axis=1)
    counts = class_counts(y, predicted, n_classes)
    losses = log_losses(y, probabilities)
    values = {
        **count_metrics(*counts),
        "roc_auc_ovr": roc_auc_ovr(y, probabilities)[0],
        "log_loss": losses.mean(),
    }
    by_class = class_metrics(*counts)

    n_units = int(units.max()) + 1
    n_ranking = max(RANKING_CELLS // max(len(y) * n_classes, 1), MIN_RANKING_RESAMPLES)
    n_ranking = min(n_ranking, N_RESAMPLES)
    samples, class_samples = _resample(
        y, predicted, probabilities, losses, units, n_ranking=n_ranking, seed=seed
    )
    method = f"95 % percentile bootstrap over {n_units} {unit}, {N_RESAMPLES} resamples"
    if n_ranking < N_RESAMPLES:
        method += f" ({n_ranking} for roc_auc_ovr)"
    return {
        "n_images": len(y),
        "n_units": n_units,
        "interval": method,
        "metrics": {name: _interval(value, samples[name]) for name, value in values.items()},
        "per_class": {
            classes[c]: {
                "support": int(counts[1][c]),
                **{
                    name: _interval(by_class[name][c], class_samples[name][:, c])
                    for name in by_class
                },
            }
            for c in range(n_classes)
        },
        "confusion_matrix": confusion_matrix(y, predicted, n_classes).tolist(),
    }


def _resample(
    y: Int,
    predicted: Int,
    probabilities: Float,
    losses: Float,
    units: Int,
    *,
    n_ranking: int,
    seed: int,
) -> tuple[dict[str, Float], dict[str, Float]]:
    """Every metric of every resample: overall (n_resamples,), and by class (n_resamples, C)."""
    n_classes = probabilities.shape[1]
    # Counts of each unit; those of a resample are then one product with its draws.
    hit, true, said = (
        _unit_counts(units, codes, keep, n_classes)
        for codes, keep in (
            (y, y == predicted),
            (y, np.ones(len(y), dtype=bool)),
            (predicted, np.ones(len(y), dtype=bool)),
        )
    )
    unit_loss = np.bincount(units, weights=losses)
    unit_size = np.bincount(units).astype(float)
    blocks: list[dict[str, Float]] = []
    class_blocks: list[dict[str, Float]] = []
    done = 0
    for draws in _draw_units(len(unit_size), seed):
        counts = draws @ hit, draws @ true, draws @ said
        metrics = count_metrics(*counts)
        metrics["log_loss"] = (draws @ unit_loss) / (draws @ unit_size)
        ranking = draws[: max(n_ranking - done, 0)]
        metrics["roc_auc_ovr"] = _ranking(y, probabilities, ranking, units)
        blocks.append(metrics)
        class_blocks.append(class_metrics(*counts))
        done += len(draws)
    samples, class_samples = _concatenate(blocks), _concatenate(class_blocks)
    _drop_incomplete(samples, class_samples["recall"], present=np.bincount(y, minlength=n_classes))
    return samples, class_samples


def _drop_incomplete(samples: dict[str, Float], recalls: Float, *, present: Int) -> None:
    """Blank class averages of resamples that lack a class, while most resamples lack none.

    An average over fewer classes is another quantity: without a class that is always wrong it
    would leap upwards.
    """
    complete = np.asarray(~np.isnan(recalls[:, present > 0]).any(axis=1))
    if complete.mean() < 0.5:
        return
    for name in CLASS_AVERAGES:
        samples[name][~complete[: len(samples[name])]] = np.nan


def _ranking(y: Int, probabilities: Float, draws: Float, units: Int) -> Float:
    """ROC areas of some resamples."""
    return roc_auc_ovr(y, probabilities, draws[:, units]) if len(draws) else np.empty(0)


def _concatenate(blocks: list[dict[str, Float]]) -> dict[str, Float]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _unit_counts(units: Int, codes: Int, keep: NDArray[np.bool_], n_classes: int) -> Any:
    """Kept images by (unit, class code) as a sparse matrix."""
    from scipy.sparse import csr_array

    n_units = int(units.max()) + 1
    ones = np.ones(int(keep.sum()))
    return csr_array((ones, (units[keep], codes[keep])), shape=(n_units, n_classes))


def _draw_units(n_units: int, seed: int) -> Iterator[Float]:
    """How often each resample draws each unit, in blocks of shape (some, n_units)."""
    rng = np.random.default_rng(seed)
    size = max(1, min(N_RESAMPLES, BLOCK_CELLS // n_units))
    for start in range(0, N_RESAMPLES, size):
        n = min(size, N_RESAMPLES - start)
        drawn = rng.integers(0, n_units, size=(n, n_units))
        drawn += np.arange(n)[:, None] * n_units
        yield np.bincount(drawn.ravel(), minlength=n * n_units).reshape(n, n_units).astype(float)


def _interval(value: Any, samples: Float) -> dict[str, float | None]:
    """Value and percentiles as JSON; None where undefined."""
    defined = samples[~np.isnan(samples)]
    low, high = np.percentile(defined, PERCENTILES) if len(defined) else (np.nan, np.nan)
    return {
        name: None if np.isnan(number) else float(number)
        for name, number in (("value", value), ("low", low), ("high", high))
    }
