"""How a backbone is trained."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from featx.config._section import MLFLOW, NAME, OVERWRITE, RUNS, Duration, Scoring, Section
from featx.config.presets import fill_in
from featx.config.report import HEAT_MAPS, by_default

__all__ = ["FinetuneConfig"]


def _unfreezing(value: str) -> str:
    """What ``FinetuneConfig.unfreeze`` may be."""
    if re.fullmatch(r"head|all|gradual|last-[1-9][0-9]?", value):
        return value
    raise ValueError("should be head, last-N (such as last-1), all or gradual")


class FinetuneConfig(Section):
    """A backbone unfrozen and trained on, with a head."""

    @model_validator(mode="before")
    @classmethod
    def _of_preset(cls, given: Any) -> Any:
        return fill_in(given) if isinstance(given, dict) else given

    from_run: str | None = Field(
        None,
        description="Run of featx fit on the same images, whose folds, test split, seed, scoring "
        "and backbone are taken.",
    )
    preset: Literal["quick", "balanced", "thorough"] | None = Field(
        "balanced",
        description="Set of defaults: quick trains 5 epochs, balanced 12, thorough 30; other flags "
        "win. [balanced]",
    )
    head: Literal["logreg", "mlp"] = Field(
        "logreg", description="Head that is fitted on the frozen embeddings, and trained."
    )
    start: Literal["fitted", "random"] | None = Field(
        None,
        description="What the head is before training: as it was fitted on the frozen embeddings, "
        "or random weights. [by the kind of network]",
    )
    unfreeze: Annotated[str, AfterValidator(_unfreezing)] = Field(
        "all",
        description="What is trained: head, also the last-N stages (last-1, last-2 ...), all, or "
        "gradual: one stage more at a time, the last first.",
    )
    lora: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Train corrections of this rank to the attention of a transformer, in the "
        "stages of --unfreeze, instead of its weights. [none]",
    )
    epochs: int = Field(
        12,
        ge=1,
        le=10000,
        description="The most times that all images are seen. [by --preset]",
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=100,
        description="Of the backbone, before --layer-decay. [by the kind of network]",
    )
    head_rate: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Times --learning-rate, for the head. [10 where it is random, else 1]",
    )
    layer_decay: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Factor of the rate from each stage to the one below. [by the kind of network]",
    )
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = Field(
        "adamw", description="sgd has Nesterov's momentum of 0.9."
    )
    weight_decay: float = Field(0.01, ge=0, le=10, description="Biases and norms do not decay.")
    schedule: Literal["cosine", "one-cycle", "step", "plateau", "constant"] = Field(
        "cosine", description="How the learning rate goes on after the warm-up."
    )
    warmup: float = Field(0.2, ge=0, lt=1, description="Share of all steps that it rises over.")
    label_smoothing: float = Field(
        0.05, ge=0, lt=1, description="Share of the target that is spread over all classes."
    )
    focal: float = Field(
        0.0, ge=0, le=10, description="Focusing exponent of the focal loss; 0 is cross-entropy."
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="balanced weights the loss of a class by 1/frequency."
    )
    balanced_sampling: bool = Field(
        False, description="Draw every class equally often, images of rare ones repeatedly."
    )
    mixup: float = Field(0.0, ge=0, le=10, description="Alpha of mixup; 0 does none.")
    cutmix: float = Field(0.0, ge=0, le=10, description="Alpha of cutmix; 0 does none.")
    augment: Literal["none", "crop", "light", "medium", "strong", "randaugment"] = Field(
        "crop", description="How training images are changed, anew in each step."
    )
    train_batch: int = Field(32, ge=1, le=65536, description="Images in a step.")
    processes: int = Field(
        1,
        ge=1,
        le=256,
        description="Processes on the CPU that share the images of a step; several GPUs are named "
        "with --device.",
    )
    accumulate: int = Field(
        1, ge=1, le=4096, description="Parts that a step's images are computed in, to save memory."
    )
    clip: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0 does not clip.")
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of a moving average of the weights; 0 has none."
    )
    average_last: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Share of the steps, the last ones, whose weights are averaged, none of the "
        "first 60; 0 averages none. --ema averages exponentially instead.",
    )
    train_batch_norm: bool = Field(False, description="Let statistics of batch normalisation move.")
    validation: float = Field(
        0.15,
        gt=0,
        le=0.5,
        description="Share of the training images that the frozen and the tuned network are "
        "compared on before either is kept.",
    )
    monitor: Literal["last", "score", "loss"] = Field(
        "last",
        description="Which epoch is kept: the last one, or the best by the score (of equal ones by "
        "the loss) or by the loss of the validation images.",
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="Epochs without a better one before it stops. [none; 5 where the schedule is "
        "plateau or constant]",
    )
    trials: int | None = Field(
        None,
        ge=1,
        le=10000,
        description="Search --tune with so many trainings, the first as asked, judged by the "
        "validation images; anew for each fold. [none is searched; 20 with --budget]",
    )
    budget: Duration | None = Field(
        None,
        description="Time for all searches together, such as 30m or 2h: what is tried then "
        "depends on the machine. [no limit]",
    )
    tune: list[
        Literal["learning_rate", "weight_decay", "unfreeze", "layer_decay", "augment", "epochs"]
    ] = Field(
        default=["learning_rate", "weight_decay", "unfreeze", "layer_decay", "augment", "epochs"],
        min_length=1,
        description="What --trials and --budget search; may be repeated. [all]",
    )
    learning_curve: bool = Field(
        False,
        description="Also do it all with half, a quarter and an eighth of the training images, and "
        "show from how many on fine-tuning pays; takes about twice as long.",
    )
    estimate: Literal["auto", "test", "cv"] = Field(
        "auto",
        description="Where the honest number comes from: the test split, or folds, each predicted "
        "by a model trained without it. [test if there is one, else cv]",
    )
    folds: int | None = Field(None, ge=2, le=100, description="Folds. [those of the run, else 5]")
    scoring: Scoring | None = Field(
        None, description="Score that is shown. [that of the run, else balanced_accuracy]"
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=2**32 - 1,
        description="Seed of it all. [that of the run, else 0]",
    )
    memory_mb: int = Field(
        2048, ge=0, description="Memory for decoded images, in MB; others are decoded every time."
    )
    tensorboard: str | None = Field(
        None, description="Folder for curves in TensorBoard's format, written after each epoch."
    )
    checkpoint_s: float = Field(
        60.0, ge=0, description="Seconds between checkpoints; each epoch ends with one too."
    )
    jobs: int | None = Field(None, ge=1, description="Threads of the head's search. [CPU cores]")
    name: str | None = Field(None, description=NAME)
    runs: str = Field("runs", description=RUNS)
    overwrite: bool = Field(False, description=OVERWRITE)
    mlflow: str | None = Field(None, description=MLFLOW)
    report: bool = Field(default_factory=by_default, description="Write report.html into the run.")
    heat_maps: bool = Field(True, description=HEAT_MAPS)
