"""The images of a run and what embedding them took, as ``results.json`` has it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from featx.record import Record
from featx.types import ExtractionReport, Seconds


class Corrected(Record):
    """What ``--labels`` changed, as `featx.data.manifest.Corrections`."""

    files: list[str]
    decisions: dict[str, int]
    changes: list[dict[str, str | None]] = Field(default_factory=list)
    not_applied: list[dict[str, str]] = Field(default_factory=list)
    new_classes: list[str] = Field(default_factory=list)


class Dataset(Record):
    """The images; ``sha256`` is that of all names, contents and labels.

    ``hashed`` is ``"rows"`` where rows of numbers were given: contents are theirs, not of files.
    """

    source: str
    images: int
    classes: dict[str, int]
    quarantined: int = 0
    passed_over: dict[str, int] = Field(default_factory=dict)
    exact_copies: dict[str, int] | None = None
    sha256: str | None = None
    hashed: str = "files"
    corrections: Corrected | None = None


class Extracted(Record):
    """One extraction; ``failures`` is their number or, of a fine-tune, all of them."""

    name: str = ""
    n_features: int | None = None
    fingerprint: str
    store: str = ""
    views: dict[str, Any] | None = None
    report: ExtractionReport
    failures: int | list[dict[str, Any]] = 0
    passed_over: dict[str, int] = Field(default_factory=dict)


class Cost(Record):
    """Seconds of each stage."""

    extract_s: Seconds | None = None
    fit_s: Seconds | None = None
    finetune_s: Seconds | None = None
    score_s: Seconds | None = None
