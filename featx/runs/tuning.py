"""How a fine-tune went, as ``results.json`` has it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from featx.record import Record
from featx.runs.extracted import Extracted


class Validated(Record):
    """Loss and score of the validation images."""

    validation_loss: float
    validation_score: float | None


class Changed(Record):
    """A number of both models, and a test of their difference."""

    frozen: float | None
    finetuned: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


class Change(Record):
    """What fine-tuning did to the loss and the score of some images."""

    loss: Changed
    score: Changed


class SizeTuned(Change):
    """The two models with so many training images."""

    n_images: int


class TuningCurve(Record):
    """The learning curve of both models, judged by the images that judge the run."""

    images: str
    sizes: list[SizeTuned]
    notes: list[str] = Field(default_factory=list)
    summary: list[str] = Field(default_factory=list)
    elapsed_s: float | None = None


class Stage(Record):
    """A stage of the network, and how fast it was trained: 0 where it was frozen."""

    name: str
    n_parameters: int
    learning_rate_share: float


class TuningSearch(Record):
    """What a search of settings tried; the names of the settings are among the keys."""

    chosen: dict[str, Any]
    ended: str
    trials: list[dict[str, Any]]


class TuningRefit(Record):
    """A network trained further, on its validation images too: the one that ships."""

    name: str
    n_training: int
    epochs: int
    stopped: str
    elapsed_s: float


class TuningTraining(Record):
    """One training: that of a fold, or on all images."""

    name: str
    n_training: int | None = None
    n_validation: int
    watched: str = "loss"
    below_warm_start: str | None = None
    still_improving: bool = False
    validation_change: Change | None = None
    best_epoch: int
    epochs: int
    stopped: str
    frozen: Validated
    finetuned: Validated
    last: Validated | None = None
    stages: list[Stage] = Field(default_factory=list)
    elapsed_s: float
    search: TuningSearch | None = None
    refit: TuningRefit | None = None


class Epoch(Record):
    """A row of ``curves.csv``: epoch 0 is the model before training."""

    training: str
    epoch: int
    step: int | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    validation_loss: float | None = None
    validation_score: float | None = None
    learning_rate: float | None = None
    images_per_s: float | None = None


class Tried(Record):
    """The recipe that was tried, in words; its settings are among the keys."""

    recipe: str
    preset: str | None = None


class Finetuning(Record):
    """How fine-tuning went; ``answer`` is ``frozen`` or ``finetuned``."""

    answer: str
    tried: Tried | None = None
    not_kept: str | None = None
    untrained: dict[str, int] | None = None
    change: Change | None = None
    trainings: list[TuningTraining] = Field(default_factory=list)
    learning_curve: TuningCurve | None = None
    extraction: Extracted | None = None
