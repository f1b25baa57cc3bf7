"""How a finished model did on other images, as ``results.json`` of an evaluation has it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from featx.record import Record
from featx.runs.estimates import Decided, Estimate, Interval


class WithShipped(Record):
    """One metric here and in the estimate that the model was shipped with.

    ``place`` is where the value here lies to the shipped interval; ``difference`` is here less
    shipped, None where one has no interval. ``worse`` says whether that is worse beyond chance.
    """

    here: Interval
    shipped: Interval
    place: Literal["inside", "below", "above", "unknown"]
    difference: Interval | None = None
    worse: bool = False


class CopiesFound(Record):
    """Copies of training images.

    ``known`` is False where the model does not keep their digests; of ``untold`` images the hash of
    the pixels is not known.
    """

    known: bool
    images: int
    untold: int = 0


class Unusual(Record):
    """How many images something is true of, and how many are usual; see `featx.scoring.checks`."""

    images: int
    of: int
    share: float | None
    usual: float | None = None
    p: float | None = None
    far_above: bool = False


class ModelEvaluation(Record):
    """A finished model on labelled images that came after it.

    ``shipped`` and ``shipped_decision`` are of the training images: the estimate that the model was
    shipped with, and what the threshold in force achieves there.
    """

    model: str
    date: str = ""
    shipped: Estimate | None = None
    shipped_decision: Decided | None = None
    against_shipped: dict[str, WithShipped] = Field(default_factory=dict)
    unknown_classes: dict[str, int] = Field(default_factory=dict)
    classes_without_images: list[str] = Field(default_factory=list)
    copies: CopiesFound
    checks: dict[str, Unusual] = Field(default_factory=dict)
    drift: dict[str, Any] | None = None
    drift_not_tested: str | None = None
