"""How a finished model is evaluated on other images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from featx.config._section import (
    BY,
    BY_GROUP,
    GROUP_ANSWER,
    NAME,
    OVERWRITE,
    PREVALENCE,
    RUNS,
    THRESHOLD,
    ByGroup,
    Section,
)
from featx.config.alarms import FAIL_ON, check_alarms
from featx.config.report import by_default


class EvaluateConfig(Section):
    """A finished model on labelled images."""

    model: str = Field(description="A model, a run, or a .featx file.")
    split: Literal["train", "val", "test"] | None = Field(
        None, description="Evaluate on the images of this split only. [all images]"
    )
    threshold: str | None = Field(
        None, description=f"{THRESHOLD} likeliest is none of these. [the model's]"
    )
    prevalence: float | None = Field(None, gt=0, lt=1, description=PREVALENCE)
    by: list[str] = Field(default_factory=list, description=BY)
    by_group: ByGroup = Field(
        None, description=BY_GROUP, json_schema_extra={"value_if_bare": "group"}
    )
    group_answer: str | None = Field(None, description=f"{GROUP_ANSWER}. [the model's]")
    fail_on: Annotated[str | None, AfterValidator(check_alarms)] = Field(None, description=FAIL_ON)
    seed: int | None = Field(
        None, ge=0, le=2**32 - 1, description="Seed of the resamples. [the model's]"
    )
    name: str | None = Field(None, description=NAME)
    runs: str = Field("runs", description=RUNS)
    overwrite: bool = Field(False, description=OVERWRITE)
    report: bool = Field(default_factory=by_default, description="Write report.html into the run.")
