"""What sections share."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from featx.durations import read_seconds


def _no_number_as_text(value: Any) -> Any:
    """Refuse ``1e3``, which YAML reads as text and no search can compare."""
    if isinstance(value, str):
        try:
            finite = math.isfinite(float(value))
        except ValueError:
            return value
        if finite:
            raise ValueError("should be a number, not text")
    return value


Number = Annotated[bool | int | float | str | None, AfterValidator(_no_number_as_text)]
Scoring = Literal[
    "balanced_accuracy", "accuracy", "f1_macro", "f1_weighted", "roc_auc_ovr", "neg_log_loss"
]

THRESHOLD = (
    "Predict CLASS if its probability reaches a cutoff: CLASS:recall=0.95, CLASS:precision=0.9, "
    "CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05."
)
PREVALENCE = (
    "Prevalence of the target class where the model will be used, such as 0.01; precision, "
    "predictive values and false alarms are computed for it. [its share of the images]"
)
BY = (
    "Also show every value of this: a column of the manifest, group, split, a field of EXIF such "
    "as exif:Model, or a part of the path as --group-from names it, such as folder:0; may be "
    "repeated."
)
BY_GROUP = (
    "Also answer once for each group of images (patient, specimen, lot): the groups of the data "
    "set, or those of a column of the manifest, or of the path, by a rule such as --group-from "
    "takes."
)
GROUP_ANSWER = (
    "How the images of a group give its answer: mean (of their probabilities), vote, max:CLASS or "
    "noisy-or:CLASS (one image of CLASS makes the group positive)"
)
NAME = "Name of the run. [data set and time]"
RUNS = "Folder for runs."
OVERWRITE = "Replace a run of the same name."

CLUSTER = "ray runs the work on a Ray cluster. [this machine]"
ADDRESS = (
    "HOST:PORT of the cluster, or auto for the one this machine belongs to. [a new, local one]"
)
MLFLOW = (
    "Also log the finished run to MLflow: the address of a server or database, or a folder. [no]"
)


class Section(BaseModel):
    """Unknown keys and wrong types are errors; values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _duration(text: str) -> str:
    """Text that `featx.durations.read_seconds` reads; anything else is a ValueError."""
    read_seconds(text)
    return text


def _own_groups(value: Any) -> Any:
    """``True`` of Python and YAML: the groups of the data set."""
    return {True: "group", False: None}[value] if isinstance(value, bool) else value


ByGroup = Annotated[str | None, BeforeValidator(_own_groups)]
Duration = Annotated[str, AfterValidator(_duration)]  # such as 5m
