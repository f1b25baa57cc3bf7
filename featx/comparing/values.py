"""Every value of a column under all runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from featx.comparing.pairing import Paired
from featx.errors import UsageError
from featx.runs import Predictions, Run
from featx.runs.by import by_columns
from featx.runs.later import with_columns


def compare_values(
    runs: Sequence[Run], paired: Paired, names: Sequence[str], *, metric: str, seed: int
) -> dict[str, Any]:
    """``by``: a table for each column, as JSON; nothing where no column is asked for.

    Parameters
    ----------
    runs : sequence of Run
        The baseline first; the first that has a column, in its predictions or in its data set,
        gives the values.
    paired : Paired
    names : sequence of str
    metric : str
    seed : int

    Returns
    -------
    dict
        ``column``, ``metric``, ``adjustment`` and ``rows``: ``value``, ``images``, ``few``,
        ``pooled``, and ``scores``, an interval for each run.

    Raises
    ------
    UsageError
        No run has the column.
    """
    if not names:
        return {}
    columns = {name: _values(runs, paired.predictions, name) for name in names}
    tables = [
        by_columns(part, columns, method=paired.level, metric=metric, seed=seed)
        for part in paired.predictions
    ]
    return {"by": [_beside(each) for each in zip(*tables, strict=True)]}


def _values(runs: Sequence[Run], parts: Sequence[Predictions], name: str) -> list[str | None]:
    """The value of each of the paired predictions."""
    refused: UsageError | None = None
    for run, part in zip(runs, parts, strict=True):
        try:
            return list(with_columns(run, part, [name]).columns[name].tolist())
        except UsageError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def _beside(tables: Sequence[Any]) -> dict[str, Any]:
    """The same column of each run as one table."""
    first = tables[0]
    rows = [
        {
            **{key: same[0][key] for key in ("value", "images", "few", "pooled")},
            "scores": [row.score.document() for row in same],
        }
        for same in zip(*(table.rows for table in tables), strict=True)
    ]
    kept = {key: first[key] for key in ("column", "metric", "adjustment", "n_intervals", "without")}
    return {**kept, "rows": rows}
