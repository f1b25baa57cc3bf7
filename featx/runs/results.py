"""``results.json`` as a typed record: every field that a fit or a fine-tune writes.

A field with a default was added after the first version, or belongs to one of the two kinds of
runs only. A new field is one line. What a newer version adds is kept, though nothing here knows
it.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from featx.record import Record
from featx.runs.by import ByColumn, Sites
from featx.runs.curve import LearningCurve
from featx.runs.estimates import Estimate, NearCopies, Trusted
from featx.runs.evaluated import ModelEvaluation
from featx.runs.extracted import Cost, Dataset, Extracted
from featx.runs.operating import OperatingPoints
from featx.runs.raced import Race
from featx.runs.search import Candidate, Comparisons, Search
from featx.runs.tabular import Tabled
from featx.runs.tuning import Finetuning

#: Raised when older versions could no longer read what is written.
SCHEMA_VERSION = 1


class Results(Record):
    """``results.json``; see ``docs/runs.md``."""

    schema_version: int = SCHEMA_VERSION
    classes: list[str]
    protocol: str | None = None
    scoring: str = "balanced_accuracy"
    select: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    n_folds: int | None = None
    n_images: int | None = None
    n_views: int = 0
    n_test_images: int = 0
    n_groups: int | None = None
    n_groups_in_all: int | None = None
    n_groups_also_tested: int | None = None
    class_counts: dict[str, int] = Field(default_factory=dict)
    candidates: list[Candidate] = Field(default_factory=list)
    chosen: Candidate
    comparison: Comparisons | None = None
    search: Search | None = None
    estimate: Estimate
    estimates: dict[str, Estimate] = Field(default_factory=dict)
    finetuning: Finetuning | None = None
    evaluation: ModelEvaluation | None = None
    by: list[ByColumn] = Field(default_factory=list)
    sites: Sites | None = None
    race: Race | None = None
    near_copies: NearCopies | None = None
    learning_curve: LearningCurve | None = None
    temperature: float | None = None
    trust: Trusted | None = None
    operating: OperatingPoints | None = None
    tabular: Tabled | None = None
    notes: list[str] = Field(default_factory=list)
    elapsed_s: float | None = None
    dataset: Dataset
    extraction: dict[str, Extracted] = Field(default_factory=dict)
    cost: Cost = Cost()
    _keys: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="wrap")
    @classmethod
    def _in_order(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Fits and fine-tunes have their keys in different orders; each is kept."""
        results = handler(data)
        results._keys = tuple(data)
        return results

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return iter(self._keys)

    def document(self) -> dict[str, Any]:
        """The JSON document: plain dicts, lists, text and numbers."""
        found = super().document()
        return {key: found[key] for key in self}


class Environment(Record):
    """``environment.json``: what could make the same command give another number elsewhere."""

    python: str
    platform: str
    processor: str
    cores: int | None
    versions: dict[str, str]

    @classmethod
    def here(cls) -> Self:
        """That of this process."""
        packages = ("featx", "torch", "torchvision", "timm", "scikit-learn", "imbalanced-learn",
                    "numpy", "scipy", "pillow")  # fmt: skip
        return cls(
            python=sys.version.split()[0],
            platform=platform.platform(),
            processor=platform.processor() or platform.machine(),
            cores=os.cpu_count(),
            versions={name: importlib.metadata.version(name) for name in packages},
        )
