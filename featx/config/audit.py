"""How a data set is audited."""

from __future__ import annotations

from pydantic import Field

from featx.config._section import Section


class AuditConfig(Section):
    """What is wrong with the data, before anything is fitted."""

    output: str = Field("audit", description="Folder for audit.html, tables and lists.")
    folds: int = Field(
        5,
        ge=2,
        le=100,
        description="Folds of the cross-validation that finds doubtful labels.",
    )
    shown: int = Field(60, ge=1, le=1000, description="Findings of each kind on the page.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of folds and trees.")
    overwrite: bool = Field(False, description="Replace existing output.")
