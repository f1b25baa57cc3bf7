"""How backbones, sizes and layers are screened."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from featx.config._section import Duration, Scoring, Section
from featx.types import ResizeMode

#: Fields of an extraction that a race decides itself, or that only whole extractions have.
OF_RACES = frozenset(
    {"weights", "pretrained", "layer", "pooling", "separate", "size", "resize"}
    | {"views", "augment", "upright", "cluster", "address"}
)


class RaceConfig(Section):
    """What enters a race, and how long it runs."""

    output: str = Field("race", description="Folder for race.html, race.json and race.csv.")
    weights: list[str] = Field(
        default_factory=list,
        description="Local file of weights that enters the race too, as FILE or BACKBONE=FILE; "
        "may be repeated.",
    )
    size: list[Annotated[int, Field(ge=1, le=8192)]] = Field(
        default_factory=list,
        description="Input size in pixels; may be repeated. [half of the weights' own, their own, "
        "half as much again]",
    )
    resize: list[ResizeMode] = Field(
        default_factory=list,
        description="shortest keeps the aspect and crops; squash does not; may be repeated. [both]",
    )
    rounds: list[Annotated[int, Field(ge=1)]] = Field(
        default=[200, 1000],
        min_length=1,
        description="Images of each round; may be repeated. Fewer in proportion where fewer may be "
        "drawn.",
    )
    keep: float = Field(
        0.75,
        gt=0,
        lt=1,
        description="Share of the forward passes that each round keeps at most.",
    )
    apart: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the images that a race may use at most where there is no test "
        "split: the others evaluate its choice.",
    )
    budget: Duration | None = Field(
        None,
        description="Time limit for the race, such as 5m; what is tried then depends on the "
        "machine. [no limit]",
    )
    scoring: Scoring = Field("balanced_accuracy", description="Score that decides the race.")
    cv: int = Field(5, ge=2, le=100, description="Number of folds in each round.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of the images drawn and of folds.")
    overwrite: bool = Field(False, description="Replace existing output.")
