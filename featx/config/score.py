"""How new images are scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from featx.config._section import (
    BY_GROUP,
    GROUP_ANSWER,
    PREVALENCE,
    THRESHOLD,
    ByGroup,
    Section,
)
from featx.config.alarms import FAIL_ON, check_alarms


class ScoreConfig(Section):
    """A model and new images to one row per file."""

    output: str = Field("scores.csv", description="Output file: .csv, .jsonl or .parquet.")
    top_k: int = Field(1, ge=1, description="Number of likeliest classes in each row.")
    proba: bool = Field(False, description="One column per class with its probability.")
    average_views: int = Field(
        0,
        ge=0,
        le=100,
        description="Average the probabilities over each image and this many augmented views.",
    )
    threshold: str | None = Field(
        None, description=f"{THRESHOLD} likeliest uses no cutoff. [the model's]"
    )
    prevalence: float | None = Field(None, gt=0, lt=1, description=PREVALENCE)
    abstain_below: float | None = Field(
        None, ge=0, le=1, description="Abstain if the predicted class is less probable than this."
    )
    by_group: ByGroup = Field(
        None, description=BY_GROUP, json_schema_extra={"value_if_bare": "group"}
    )
    group_answer: str | None = Field(None, description=f"{GROUP_ANSWER}. [the model's]")
    sort_into: str | None = Field(None, description="Folder to sort the images into by class.")
    sort_mode: Literal["link", "copy"] = Field(
        "link",
        description="How --sort-into places files.",
        json_schema_extra={"choices_are_flags": True},
    )
    sort_unsure: bool = Field(
        True,
        description="--sort-into puts images that the model abstains from, or that are out of "
        "distribution, into _unsure; --no-sort-unsure puts them with their predicted class.",
    )
    report: str | None = Field(
        None,
        description="File for a page about the images: classes, confidence, pictures, drift.",
    )
    history: str | None = Field(
        None,
        description="JSON Lines file to append a summary of this scoring to: date, model, rows, "
        "shares, drift.",
    )
    fail_on: Annotated[str | None, AfterValidator(check_alarms)] = Field(None, description=FAIL_ON)
    all_files: bool = Field(
        False,
        description="Also write a row, with the reason, for each file that is not an image or "
        "not read.",
    )
    overwrite: bool = Field(False, description="Replace existing output.")


class ScoreTarget(ScoreConfig):
    """The score section of a run configuration: also names the images."""

    images: str = Field(description="Folder or manifest of new images.")
    root: str | None = Field(
        None, description="Folder that a manifest's paths are relative to. [manifest's folder]"
    )
    path_column: str | None = Field(None, description="Manifest column with the image path. [path]")
