"""Scores by the values of a column, and what to expect of the next site, as a run has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from featx.record import Record
from featx.runs.estimates import Interval
from featx.runs.predictions import Predictions, PredictionTable
from featx.stats.intervals import LIMITS, metric_values
from featx.stats.operating import Evaluated
from featx.stats.sites import LEVEL, next_site
from featx.stats.subsets import describe_values
from featx.types import SITES

ADJUSTED = "Bonferroni: all intervals of the table hold together with 95 % confidence"
PREDICTED = (
    "Student's prediction interval over sites, each predicted by a model fitted on the others"
)


class ByValue(Record):
    """The images of one value of a column.

    ``units`` of ``unit`` are what intervals draw; ``pooled`` is the number of values that share
    this row, 0 where it has one; ``few`` marks values of fewer than 20 images.
    """

    value: str
    pooled: int = 0
    images: int
    units: int
    unit: str
    classes: int
    few: bool
    accuracy: Interval
    score: Interval


class ByColumn(Record):
    """Every value of a column; ``score`` of a row is ``metric``.

    ``worst_below`` says whether the whole interval of the worst value is worse than the score of
    all images, and ``without`` how many images have no value.
    """

    column: str
    method: str
    metric: str
    adjustment: str
    n_intervals: int
    overall: dict[str, float | None]
    rows: list[ByValue]
    worst: str | None = None
    best: str | None = None
    worst_below: bool | None = None
    without: int = 0


class NextSite(Record):
    """Mean and spread over sites, and between what the score of a next site will lie."""

    n_sites: int
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None


class Sites(Record):
    """Prediction intervals at ``level`` for the next site, by metric."""

    n: int
    level: float
    method: str
    metrics: dict[str, NextSite]


def by_document(
    table: PredictionTable, names: Sequence[str], *, method: str, scoring: str, seed: int
) -> dict[str, Any]:
    """``by`` and, where sites were left out one at a time, ``sites``, for ``results.json``.

    Parameters
    ----------
    table : PredictionTable
        With the columns.
    names : sequence of str
    method : str
        Of the estimate.
    scoring : str
        What the search maximised.
    seed : int
    """
    metric = scoring.removeprefix("neg_")
    shown = _evaluated(table, method)
    document: dict[str, Any] = {}
    if method == SITES:
        group = shown.columns["group"].tolist()
        if all(shown.columns[name].tolist() != group for name in names):
            names = [*names, "group"]
        document["sites"] = _sites(shown, metric).document()
    if names:
        columns = {name: shown.columns[name].tolist() for name in names}
        found = by_columns(shown, columns, method=method, metric=metric, seed=seed)
        document["by"] = [each.document() for each in found]
    return document


def _evaluated(table: PredictionTable, method: str) -> Predictions:
    """The predictions that an estimate is of."""
    repeats = sorted(
        (name for name in table if name.startswith("repeated-")),
        key=lambda name: int(name.removeprefix("repeated-")),
    )
    if method == "repeated":
        return Predictions.repeated([table[name] for name in repeats])
    return table["oof" if method == "cv" else method]


def by_columns(
    shown: Predictions,
    columns: Mapping[str, Sequence[str | None]],
    *,
    method: str,
    metric: str,
    seed: int,
) -> list[ByColumn]:
    """A table for each column.

    Parameters
    ----------
    shown : Predictions
        For images that the predicting model was not fitted on.
    columns : mapping of str to sequence of str or None
        A value for each prediction.
    method : str
        How the images evaluate; a method of an estimate, or a level.
    metric : str
    seed : int
    """
    contents = shown.ids if shown.content is None else shown.content
    alone = np.unique(contents.astype(str), return_inverse=True)[1]
    units = alone if shown.unit is None else shown.unit
    drawn = Evaluated(shown.y, shown.proba, shown.y_pred, units, shown.fold, shown.repeat)
    return [
        ByColumn.model_validate(
            {
                "column": name,
                "method": method,
                "adjustment": ADJUSTED,
                **describe_values(drawn, alone, values, metric, seed=seed),
            }
        )
        for name, values in columns.items()
    ]


def _sites(shown: Predictions, metric: str) -> Sites:
    """The interval for the next site, from the scores of all of them."""
    values = shown.columns["group"]
    scores = [
        metric_values(*(each[values == name] for each in (shown.y, shown.proba, shown.y_pred)))[0]
        for name in sorted(set(values.tolist()))
    ]
    return Sites.model_validate(
        {
            "n": len(scores),
            "level": LEVEL,
            "method": PREDICTED,
            "metrics": {
                name: next_site(
                    [None if np.isnan(each[name]) else each[name] for each in scores],
                    limits=LIMITS.get(name, (0.0, 1.0)),
                )
                for name in dict.fromkeys(("accuracy", metric))
            },
        }
    )
