"""How runs are compared."""

from __future__ import annotations

from pydantic import Field

from featx.config._section import Section

__all__ = ["CompareConfig"]


class CompareConfig(Section):
    """Finished runs beside each other."""

    baseline: str | None = Field(
        None, description="Run that the others are compared with. [the first]"
    )
    metric: str | None = Field(
        None,
        description="What verdicts are of, such as accuracy. [what the baseline's fit maximised]",
    )
    disagreements: str | None = Field(
        None,
        description="File for the images that not all runs predict alike: .csv, .jsonl, .parquet.",
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of the bootstrap.")
    finetune: bool = Field(
        False,
        description="The argument is a data set: fit a head on its frozen embeddings, fine-tune "
        "the backbone on the same folds, and compare the two.",
    )
    backbone: str | None = Field(
        None, description="Of both runs, with --finetune. [the embedded backbone]"
    )
    weights: str | None = Field(
        None, description="With --finetune, local weights of the backbone of both runs."
    )
    name: str | None = Field(
        None, description="With --finetune the runs are NAME-frozen and NAME-finetuned. [data set]"
    )
    overwrite: bool = Field(False, description="Replace existing output.")
