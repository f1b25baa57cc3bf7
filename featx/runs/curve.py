"""The learning curve, as ``results.json`` and ``learning_curve.csv`` have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from featx.record import Record
from featx.runs.estimates import Interval

CURVE_COLUMNS = ("kind", "n_images", "metric", "class", "value", "low", "high")


class CurveSize(Record):
    """Scores of one number of training images."""

    n_images: int
    n_groups: int | None
    draws: int
    metrics: dict[str, Interval]


class Rise(Record):
    """What more images gave, as measured."""

    from_images: int
    to_images: int
    value: float | None
    low: float | None
    high: float | None


class Ahead(Record):
    """What so many images are expected to give, and to add to what is expected now."""

    factor: int
    n_images: int
    score: Interval
    gain: Interval | None


class Growth(Record):
    """What more images would add; ``reason`` says why that is not forecast."""

    verdict: str
    reason: str | None
    rise: Rise | None
    last_doubling: Rise | None
    law: dict[str, float] | None
    ahead: list[Ahead]


class ClassCurve(Record):
    """The curve of one class."""

    label: str = Field(alias="class")
    n_images: int
    recall: Interval
    growth: Growth
    by_size: list[dict[str, float | None]]
    embed_s: float | None = None


class LearningCurve(Record):
    """The learning curve: what labelling more images would add."""

    method: str
    interval: str
    scorings: list[str]
    n_images: int
    n_groups: int | None
    n_folds: int
    draws: int
    sizes: list[CurveSize]
    growth: dict[str, Growth]
    classes: list[ClassCurve]
    notes: list[str]
    elapsed_s: float
    cost: dict[str, int | float | None] | None = None
    summary: list[str] = Field(default_factory=list)

    def rows(self) -> Iterator[list[Any]]:
        """Rows of ``learning_curve.csv``: measured, expected, and the recall of each class."""
        for size in self.sizes:
            for name, row in size.metrics.items():
                yield ["measured", size.n_images, name, None, row.value, row.low, row.high]
        for name, growth in self.growth.items():
            for ahead in growth.ahead:
                row = ahead.score
                yield ["expected", ahead.n_images, name, None, row.value, row.low, row.high]
        for one in self.classes:
            for i, point in enumerate(one.by_size, 1):
                ends = [point["recall"], "", ""]
                if i == len(one.by_size):  # of the largest there is an interval
                    ends = [one.recall.value, one.recall.low, one.recall.high]
                yield ["measured", point["n_images"], "recall", one.label, *ends]
