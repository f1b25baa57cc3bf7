"""What a search tried, as ``results.json`` has it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from featx.record import Record
from featx.types import Components


class Difference(Record):
    """Mean difference of the scores to another row, with its interval and p-value."""

    mean: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float | None = None


class GridPoint(Record):
    """One point that was tried."""

    params: dict[str, Any]
    cv_mean: float | None
    cv_std: float | None


class Candidate(Record):
    """One row of the search: a setup at the best point of its grid.

    ``status`` is ``ok``, ``refused`` (it cannot be fitted) or ``not reached`` (the budget ended
    before); without scores ``params`` is empty. ``fold_scores`` are None where a fold has no score:
    a ROC area needs two classes. ``tabular`` names other columns behind the embedding.
    ``against_*`` are differences of the fold scores to the same row without resampling, with class
    weights instead, without views, without other columns, and to the chosen row; of the last one
    also on the images that judge once. ``kind`` is ``frozen`` or ``finetuned``: what a fine-tune
    ended with, of which there is nothing but ``backbone`` and ``head`` beside it.
    """

    backbone: str
    head: str
    sampler: str = "none"
    class_weight: str = "none"
    views: int = 0
    status: str = "ok"
    pca: Components = "none"
    tabular: list[str] = Field(default_factory=list)
    params: dict[str, Any] = Field(default_factory=dict)
    cv_mean: float | None = None
    cv_std: float | None = None
    fold_scores: list[float | None] = Field(default_factory=list)
    grid: list[GridPoint] = Field(default_factory=list)
    against_none: Difference | None = None
    against_class_weight: Difference | None = None
    against_no_views: Difference | None = None
    against_no_columns: Difference | None = None
    against_chosen: Difference | None = None
    against_chosen_tested: Difference | None = None
    elapsed_s: float = 0.0
    notes: list[str] = Field(default_factory=list)
    kind: str | None = None


class Compared(Record):
    """How candidates were compared with the chosen one."""

    method: str
    scoring: str
    adjustment: str
    n_comparisons: int


class Comparisons(Record):
    """Comparisons on the folds and, where images judge once, on those."""

    folds: Compared | None
    tested: Compared | None


class Search(Record):
    """What was tried, and what ended it."""

    strategy: str = "grid"
    trials: int
    trials_by_row: dict[str, int] = Field(default_factory=dict)
    rungs: list[dict[str, int | float]] = Field(default_factory=list)
    budget: str | None = None
    ended_by_budget: list[str] = Field(default_factory=list)
    resumed_fits: int = 0
