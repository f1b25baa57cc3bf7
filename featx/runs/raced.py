"""A race as a run has it: what was screened before the fit, and what won."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from featx.record import Record
from featx.runs.estimates import Interval
from featx.types import AUTO_LAYER

RACED_POOLINGS = ("avg", "max")


class Embedding(Record):
    """Layers side by side, and their score in the last round that they were in."""

    layers: list[str]
    n_features: int
    score: float


class ForwardPass(Record):
    """A backbone at a size.

    ``images`` are those of its last round, ``score`` its best layers' there, ``behind`` that minus
    the winner's on the same images; ``left`` says why it left, and is empty in the last round.
    """

    backbone: str
    weights: str | None
    size_px: int
    resize: str
    images: int
    layers: list[str]
    n_features: int | None
    score: Interval
    behind: Interval
    seconds: float
    images_per_s: float | None
    left: str
    pareto: bool = False
    embeddings: list[Embedding] = Field(default_factory=list)

    def settings(self) -> dict[str, Any]:
        """Fields of `featx.config.ExtractConfig` that extract all its layers, as the race did."""
        return {
            "backbone": [self.backbone],
            "weights": self.weights,
            "size": self.size_px,
            "resize": self.resize,
            "layer": [AUTO_LAYER],
            "pooling": list(RACED_POOLINGS),
        }


class Race(Record):
    """``rows`` has the winner first; ``rounds`` are numbers of images."""

    source: str
    n_images: int
    n_drawable: int
    scoring: str
    seed: int
    rounds: list[int]
    budget: str | None
    ended_by_budget: bool
    elapsed_s: float
    embedded: int
    winner: ForwardPass
    rows: list[ForwardPass]
    summary: list[str]
