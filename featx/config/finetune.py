"""How a backbone is trained."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from featx.config._section import BY, MLFLOW, NAME, OVERWRITE, RUNS, Duration, Scoring, Section
from featx.config.presets import fill_in
from featx.config.report import HEAT_MAPS, by_default


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
        description="Run of featx fit on the same images; its folds, test split, seed, scoring "
        "and backbone are reused.",
    )
    preset: Literal["quick", "balanced", "thorough"] | None = Field(
        "balanced",
        description="Set of defaults: quick trains 5 epochs, balanced 12, thorough 30; other "
        "flags override it. [balanced]",
    )
    head: Literal["logreg", "mlp"] = Field(
        "logreg", description="Head to fit on the frozen embeddings and then train."
    )
    start: Literal["fitted", "random"] | None = Field(
        None,
        description="Initial weights of the head: fitted on the frozen embeddings, or random. "
        "[depends on the network]",
    )
    unfreeze: Annotated[str, AfterValidator(_unfreezing)] = Field(
        "all",
        description="What to train: head, last-N (the head and the last N stages: last-1, "
        "last-2 ...), all, or gradual (one more stage at a time, the last first).",
    )
    lora: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Rank of the low-rank corrections to train in a transformer's attention, in "
        "the stages of --unfreeze, instead of its weights. [no LoRA]",
    )
    epochs: int = Field(
        12,
        ge=1,
        le=10000,
        description="Maximum number of epochs. [set by --preset]",
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=100,
        description="Learning rate of the backbone, before --layer-decay. [depends on the network]",
    )
    head_rate: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Factor on --learning-rate for the head. [10 if it starts random, else 1]",
    )
    layer_decay: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Factor on the learning rate from each stage to the one below. [depends on "
        "the network]",
    )
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = Field(
        "adamw", description="sgd uses Nesterov momentum of 0.9."
    )
    weight_decay: float = Field(
        0.01, ge=0, le=10, description="Weight decay, without biases and norms."
    )
    schedule: Literal["cosine", "one-cycle", "step", "plateau", "constant"] = Field(
        "cosine", description="Learning-rate schedule after the warm-up."
    )
    warmup: float = Field(
        0.2, ge=0, lt=1, description="Share of all steps in which the learning rate rises."
    )
    label_smoothing: float = Field(
        0.05, ge=0, lt=1, description="Share of the target spread over all classes."
    )
    focal: float = Field(
        0.0, ge=0, le=10, description="Focusing exponent of the focal loss; 0 is cross-entropy."
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="balanced weights the loss of a class by 1/frequency."
    )
    balanced_sampling: bool = Field(
        False, description="Draw every class equally often, repeating images of rare ones."
    )
    mixup: float = Field(0.0, ge=0, le=10, description="Alpha of mixup; 0 turns it off.")
    cutmix: float = Field(0.0, ge=0, le=10, description="Alpha of cutmix; 0 turns it off.")
    augment: Literal["none", "crop", "light", "medium", "strong", "randaugment"] = Field(
        "crop", description="Augmentation of training images, drawn anew in each step."
    )
    train_batch: int = Field(32, ge=1, le=65536, description="Images in a step.")
    processes: int = Field(
        1,
        ge=1,
        le=256,
        description="CPU processes that share the images of a step; for several GPUs use --device.",
    )
    accumulate: int = Field(
        1, ge=1, le=4096, description="Parts to compute each step's images in, to save memory."
    )
    clip: float = Field(
        1.0, ge=0, description="Largest norm of the gradient; 0 turns clipping off."
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of a moving average of the weights; 0 turns it off."
    )
    train_batch_norm: bool = Field(
        False, description="Update the statistics of batch normalisation."
    )
    average_last: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Share of the last steps whose weights are averaged, none of the first 60; 0 "
        "averages none. --ema averages exponentially instead.",
    )
    validation: float = Field(
        0.15,
        gt=0,
        le=0.5,
        description="Share of the training images set aside to choose between the frozen and "
        "the fine-tuned network.",
    )
    refit: bool = Field(
        True,
        description="After validation, train the network further on all training images, those "
        "of the validation part included, for a third of the epochs.",
    )
    monitor: Literal["last", "score", "loss"] = Field(
        "last",
        description="Epoch to keep: the last, or the best by the score (ties by loss) or by the "
        "loss of the validation images.",
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="Stop after this many epochs without a better one. [never; 5 if the "
        "schedule is plateau or constant]",
    )
    trials: int | None = Field(
        None,
        ge=1,
        le=10000,
        description="Number of trainings to search --tune with, the first with the given "
        "settings, evaluated on the validation images; repeated for each fold. [no search; "
        "20 with --budget]",
    )
    budget: Duration | None = Field(
        None,
        description="Time limit for all searches together, such as 30m or 2h; what is tried "
        "then depends on the machine. [no limit]",
    )
    tune: list[
        Literal["learning_rate", "weight_decay", "unfreeze", "layer_decay", "augment", "epochs"]
    ] = Field(
        default=["learning_rate", "weight_decay", "unfreeze", "layer_decay", "augment", "epochs"],
        min_length=1,
        description="Settings that --trials and --budget search; may be repeated. [all]",
    )
    learning_curve: bool = Field(
        False,
        description="Also do it all with half, a quarter and an eighth of the training images, and "
        "show from how many on fine-tuning pays; takes about twice as long.",
    )
    estimate: Literal["auto", "test", "cv"] = Field(
        "auto",
        description="How performance is estimated: on the test split, or by cross-validation, "
        "each fold predicted by a model trained without it. [test if there is one, else cv]",
    )
    folds: int | None = Field(
        None, ge=2, le=100, description="Number of folds. [as in the baseline run, else 5]"
    )
    by: list[str] = Field(default_factory=list, description=BY)
    scoring: Scoring | None = Field(
        None, description="Score to report. [as in the baseline run, else balanced_accuracy]"
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=2**32 - 1,
        description="Random seed. [as in the baseline run, else 0]",
    )
    memory_mb: int = Field(
        2048, ge=0, description="Memory for decoded images, in MB; the rest are decoded each time."
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
