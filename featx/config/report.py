"""How a finished run is shown."""

from __future__ import annotations

import os

from pydantic import Field

from featx.config._section import BY, PREVALENCE, THRESHOLD, Section


def by_default() -> bool:
    """Whether runs are written with a page; ``FEATX_REPORT=0`` in the environment turns it off."""
    return os.environ.get("FEATX_REPORT", "1") != "0"


HEAT_MAPS = "Show heat maps of what a linear head's decisions come from."


class ReportConfig(Section):
    """A run as a page, and its figures and tables as files."""

    output: str | None = Field(None, description="File for the page. [report.html in the run]")
    figures: str | None = Field(
        None, description="Folder for the figures as SVG and PNG and the tables as CSV."
    )
    dataset: str | None = Field(
        None, description="Present location of the images. [where the run found them]"
    )
    cache: str | None = Field(None, description="Cache folder. [the run's]")
    threshold: str | None = Field(
        None, description=f"{THRESHOLD} likeliest uses no cutoff. [the run's]"
    )
    prevalence: float | None = Field(None, gt=0, lt=1, description=PREVALENCE)
    by: list[str] = Field(default_factory=list, description=BY)
    heat_maps: bool = Field(True, description=HEAT_MAPS)
    overwrite: bool = Field(False, description="Replace existing output.")
