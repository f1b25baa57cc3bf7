"""Scores of the images of every value of a column: site, camera, month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from featx.stats.bootstrap import TAIL, training_stretch
from featx.stats.intervals import metric_values, resample_metrics
from featx.stats.metrics import lower_is_better
from featx.stats.operating import Evaluated
from featx.types import BoolArray, IntArray

FEW = 20  # images of a value: it is marked, and never named as the worst
MOST = 40  # values with a row of their own
OTHERS = "(other values)"


def describe_values(
    shown: Evaluated, alone: IntArray, values: Sequence[str | None], metric: str, *, seed: int
) -> dict[str, Any]:
    """Accuracy and a metric for every value, with simultaneous 95 % intervals.

    Parameters
    ----------
    shown : Evaluated
    alone : ndarray of shape (n,), int64
        What is drawn together where groups are ignored: exact copies.
    values : sequence of str or None, of length n
        None where an image has no value.
    metric : str
        A key of `featx.stats.intervals.metric_values`.
    seed : int

    Returns
    -------
    dict
        JSON: ``metric``, ``n_intervals`` (values that the level is adjusted for), ``overall``
        (accuracy and the metric on all images), ``rows`` (``value``, ``pooled``, ``images``,
        ``units``, ``unit``, ``classes``, ``few``, ``accuracy``, ``score``), ``worst`` and
        ``best`` (a value or None), ``worst_below`` (whether its whole interval is worse than
        the score of all images) and ``without`` (images that have no value).

    Notes
    -----
    The expanded percentile bootstrap over units, within each value, with 0.05 divided by the
    number of values (Bonferroni), so that all intervals hold together with 95 %. A value that is
    a single group has intervals over its images, given that group. The largest 40 values have
    rows of their own, the others share one.
    """
    names = np.array(["" if v is None else v for v in values], dtype=object)
    has = np.array([v is not None for v in values], bool)
    found, counts = np.unique(names[has].astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    own = sorted(str(found[i]) for i in (order if len(found) <= MOST else order[: MOST - 1]))
    pooled = len(found) - len(own)
    tail = TAIL / max(len(own) + bool(pooled), 1)
    rows = [_row(shown, alone, has & (names == name), name, metric, tail, seed) for name in own]
    if pooled:
        rest = has & ~np.isin(names, own)
        rows.append({**_row(shown, alone, rest, OTHERS, metric, tail, seed), "pooled": pooled})
    everything = metric_values(shown.y, shown.proba, shown.y_pred)[0]
    overall = {name: _number(everything[name]) for name in dict.fromkeys(("accuracy", metric))}
    return {
        "metric": metric,
        "n_intervals": len(rows),
        "overall": overall,
        "rows": rows,
        **_extremes(rows, metric, overall[metric]),
        "without": int((~has).sum()) // shown.n_repeats,
    }


def _row(
    shown: Evaluated,
    alone: IntArray,
    rows: BoolArray,
    value: str,
    metric: str,
    tail: float,
    seed: int,
) -> dict[str, Any]:
    """One value: its images, and both scores with their intervals."""
    y, y_pred, proba = shown.y[rows], shown.y_pred[rows], shown.proba[rows]
    units, unit = _numbered(shown.units[rows]), "units"
    if units.max() == 0:
        units, unit = _numbered(alone[rows]), "images"
    n_units = int(units.max()) + 1
    resampled = resample_metrics(y, proba, units, seed=seed, y_pred=y_pred)
    stretch = training_stretch(shown.n_folds)
    scores = {
        key: resampled.interval(name, n_units, stretch=stretch, tail=tail)
        for key, name in (("accuracy", "accuracy"), ("score", metric))
    }
    images = len(y) // shown.n_repeats
    return {
        "value": value,
        "pooled": 0,
        "images": images,
        "units": n_units,
        "unit": unit,
        "classes": len(np.unique(y)),
        "few": images < FEW,
        **scores,
    }


def _numbered(codes: IntArray) -> IntArray:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _extremes(rows: Sequence[dict[str, Any]], metric: str, overall: float | None) -> dict[str, Any]:
    """The worst and the best value of enough images, where two are to be ordered."""
    sign = -1 if lower_is_better(metric) else 1
    ranked = sorted(
        (sign * row["score"]["value"], row["value"])
        for row in rows
        if not row["few"] and not row["pooled"] and row["score"]["value"] is not None
    )
    if len(ranked) < 2 or ranked[0][0] == ranked[-1][0]:
        return {"worst": None, "best": None, "worst_below": None}
    worst = next(row["score"] for row in rows if row["value"] == ranked[0][1])
    end = worst["low" if sign < 0 else "high"]
    below = None if end is None or overall is None else bool(sign * end < sign * overall)
    return {"worst": ranked[0][1], "best": ranked[-1][1], "worst_below": below}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
