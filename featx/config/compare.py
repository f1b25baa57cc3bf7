"""How runs are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from featx.config._section import BY, Section
from featx.config.reading import make_config
from featx.config.run import RunConfig


class CompareConfig(Section):
    """Finished runs beside each other."""

    baseline: str | None = Field(None, description="Run to compare the others with. [the first]")
    metric: str | None = Field(
        None,
        description="Metric that the verdicts are based on, such as accuracy. [the metric of "
        "the baseline's fit]",
    )
    disagreements: str | None = Field(
        None,
        description="File for the images on which runs disagree: .csv, .jsonl or .parquet.",
    )
    by: list[str] = Field(default_factory=list, description=BY)
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of the bootstrap.")
    finetune: bool = Field(
        False,
        description="The argument is a data set: fit a head on its frozen embeddings, fine-tune "
        "the backbone on the same folds, and compare the two.",
    )
    backbone: str | None = Field(
        None, description="Backbone of both runs, with --finetune. [the embedded backbone]"
    )
    weights: str | None = Field(
        None, description="With --finetune, local weights of the backbone of both runs."
    )
    name: str | None = Field(
        None, description="With --finetune the runs are NAME-frozen and NAME-finetuned. [data set]"
    )
    overwrite: bool = Field(False, description="Replace existing output.")


def frozen_and_finetuned(
    dataset: str, config: CompareConfig, overrides: tuple[str, ...]
) -> tuple[RunConfig, RunConfig]:
    """Configurations of the two runs that ``finetune`` asks for.

    The second takes its backbone from the first.

    ``overrides`` are ``section.key=value`` for the sections ``data``, ``extract``, ``fit`` and
    ``finetune``.
    """
    name = config.name or Path(dataset).stem

    def section(kind: str) -> dict[str, Any]:
        return {"name": f"{name}-{kind}", "overwrite": config.overwrite}

    values: dict[str, Any] = {
        "data": {"dataset": dataset},
        "extract": {
            "backbone": [config.backbone] if config.backbone else [],
            "weights": config.weights,
        },
        "fit": section("frozen"),
        "finetune": section("finetuned"),
    }
    both = make_config(values, overrides=overrides, source="command line")
    frozen = both.model_copy(update={"finetune": None})
    extract = both.extract.model_copy(update={"backbone": [], "weights": None, "views": 0})
    return frozen, both.model_copy(update={"extract": extract})
