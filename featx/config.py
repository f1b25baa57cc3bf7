"""Every setting featx has: name, type, default and meaning, in this one place.

Command-line flags are made from these fields (``cli/options.py``), YAML files are read into
them, and the resolved values are written into every run. A flag left out means the value here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from featx.durations import read_seconds
from featx.errors import ConfigError, nearest
from featx.types import (
    DEFAULT_BACKBONE,
    BackboneRequest,
    Components,
    DecodeMode,
    Interpolation,
    ResizeMode,
)

__all__ = [
    "BACKBONE_FIELDS",
    "CompareConfig",
    "DatasetConfig",
    "ExtractConfig",
    "FinetuneConfig",
    "FitConfig",
    "RunConfig",
    "ScoreConfig",
    "dump_config",
    "load_config",
    "make_config",
    "parse_config",
]

Number = bool | int | float | str | None
ModelT = TypeVar("ModelT", bound=BaseModel)


_CLUSTER = "ray computes on the machines of a Ray cluster. [this machine]"
_ADDRESS = "The cluster's HOST:PORT, or auto for the one this machine is in. [its own, new one]"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _components(value: Any) -> Any:
    """What `featx.types.Components` leaves open."""
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value == "none" or whole or (isinstance(value, float) and 0 < value < 1):
        return value
    raise ValueError("should be none, a number of components, or a share above 0 and below 1")


def _duration(text: str) -> str:
    read_seconds(text)
    return text


class DatasetConfig(_Section):
    """Where the images are and what is known of each."""

    dataset: str = Field(description="Folder of images, or a CSV, TSV, JSONL or Parquet manifest.")
    root: str | None = Field(
        None, description="Folder that a manifest's paths are relative to. [manifest's folder]"
    )
    path_column: str | None = Field(None, description="Manifest column with the image path. [path]")
    label_column: str | None = Field(None, description="Manifest column with the label. [label]")
    group_column: str | None = Field(
        None, description="Manifest column with the group (patient, plot, camera). [group]"
    )
    split_column: str | None = Field(
        None, description="Manifest column with train, val or test. [split]"
    )


class ExtractConfig(_Section):
    """Images to embeddings."""

    backbone: list[str] = Field(
        default_factory=list,
        description="timm:NAME, torchvision:NAME or featx:NAME; may be repeated. "
        "[the embedded backbone]",
    )
    weights: str | None = Field(
        None, description="Local safetensors, .pt or .pth file for the backbone (needs just one)."
    )
    pretrained: bool = Field(True, description="--no-pretrained gives random weights.")
    layer: list[str] = Field(
        default_factory=list, description="Named layer to take; may be repeated. [pre-logits]"
    )
    pooling: list[Literal["avg", "max", "avg+max", "cls", "flatten"]] = Field(
        default_factory=list, description="Pooling of each layer; may be repeated. [backbone's own]"
    )
    separate: bool = Field(
        False, description="One store for each layer and pooling instead of one concatenation."
    )
    size: int | None = Field(
        None, ge=1, le=8192, description="Input size in pixels. [weights' own]"
    )
    crop: float | None = Field(
        None, gt=0, le=1, description="Fraction the centre crop keeps. [weights' own]"
    )
    interpolation: Interpolation | None = Field(
        None, description="Resampling filter. [weights' own]"
    )
    resize: ResizeMode | None = Field(
        None, description="shortest keeps the aspect and crops; squash does not. [weights' own]"
    )
    decode: DecodeMode = Field(
        "reference",
        description="scaled shrinks large JPEG files while decoding: faster, nearly the same "
        "pixels; part of the fingerprint.",
    )
    cache: str | None = Field(None, description="Cache folder. [$FEATX_CACHE, else ./cache]")
    engine: str = Field(
        "auto", description="torch or openvino. [openvino on x86 processors, torch elsewhere]"
    )
    device: str = Field(
        "auto", description="auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="Numerics of the forward pass; part of the fingerprint. [bf16 where the "
        "processor or GPU multiplies it natively, else fp32]",
    )
    batch_size: Literal["auto"] | int = Field("auto", description="Images in a batch, or auto.")
    workers: int | None = Field(
        None,
        ge=1,
        le=512,
        description="Threads that decode and, where the CPU computes, embed. [CPU cores]",
    )
    views: int = Field(
        0, ge=0, le=100, description="Augmented views of each image that is not in the test split."
    )
    augment: Literal["light", "medium", "strong"] = Field(
        "medium", description="How much views differ from their image."
    )
    upright: bool = Field(
        True, description="--no-upright also turns views by quarters: images have no up."
    )
    limit: int | None = Field(None, ge=1, description="Only the first N images.")
    on_error: Literal["skip", "fail"] = Field(
        "skip", description="skip quarantines an unreadable image; fail stops at the first."
    )
    offline: bool = Field(False, description="Never ask a model hub.")
    cluster: str | None = Field(None, description=_CLUSTER)
    address: str | None = Field(None, description=_ADDRESS)

    def requests(self) -> list[BackboneRequest]:
        """One request for each backbone named; the embedded one when none is."""
        names = self.backbone or [DEFAULT_BACKBONE]
        if self.weights is not None and len(names) > 1:
            raise ConfigError(
                f"--weights {self.weights!r} belongs to one backbone, but {len(names)} are named.",
                hint="Run one extract per weights file; the cache keeps both.",
            )
        return [
            BackboneRequest(
                name=name,
                weights=self.weights,
                pretrained=self.pretrained,
                layers=tuple(self.layer),
                poolings=tuple(self.pooling),
                separate=self.separate,
                size_px=self.size,
                crop=self.crop,
                interpolation=self.interpolation,
                resize=self.resize,
                decode=self.decode,
            )
            for name in names
        ]


#: What decides the embedding and its views, and so belongs to a saved model; `featx.score` does not
#: take it.
BACKBONE_FIELDS = frozenset(
    {"backbone", "pretrained", "layer", "pooling", "separate"}
    | {"size", "crop", "interpolation", "resize", "decode"}
    | {"views", "augment", "upright"}
)


class FitConfig(_Section):
    """Embeddings to a searched, honestly evaluated classifier."""

    head: list[str] = Field(
        default_factory=lambda: ["logreg"], description="Classifier to try; may be repeated."
    )
    concat: bool = Field(
        False, description="Also try the embeddings of all backbones named, side by side."
    )
    sampler: list[str] = Field(
        default_factory=lambda: ["none"],
        description="Resampling inside the folds; may be repeated. none is always tried too.",
    )
    pca: list[Annotated[Components, BeforeValidator(_components)]] = Field(
        default=["none"],
        description="Principal components of the scaled embeddings, fitted inside the folds: none, "
        "so many, or those with this share of the variance, such as 0.95; may be repeated.",
    )
    class_weight: Literal["auto", "none", "balanced"] = Field(
        "auto",
        description="balanced also tries each head with classes weighted by 1/frequency; auto "
        "does so once beside samplers, for comparison; none never does.",
    )
    param_grid: dict[str, dict[str, list[Number]]] = Field(
        default_factory=dict,
        description="Values to search instead of a head's own, as {head: {parameter: [values]}}.",
    )
    search: str = Field(
        "grid",
        description="grid tries every value and goes on past an end that is best; random and bayes "
        "draw --trials points from a head's space; halving tries all on few images first.",
    )
    trials: int | None = Field(
        None,
        ge=1,
        description="Points drawn for each row; halving draws none without it. [30 for random "
        "and bayes]",
    )
    budget: Annotated[str, AfterValidator(_duration)] | None = Field(
        None,
        description="Time for the search and the nested ones that judge it, such as 5m, 90s or "
        "2h30m: what is tried then depends on the machine. [no limit]",
    )
    ensemble: list[Literal["vote", "stack"]] = Field(
        default_factory=list,
        description="Also try the candidates together: vote averages their probabilities, stack "
        "weighs them by logistic regression; may be repeated.",
    )
    members: int | None = Field(
        None, ge=2, le=100, description="Best candidates in an ensemble. [all of them]"
    )
    seeds: int = Field(
        1,
        ge=1,
        le=100,
        description="Copies of each candidate that depends on the seed, which also vote.",
    )
    resume: bool = Field(
        True,
        description="Scores are kept in RUNS/.searches as they are found, and known ones are not "
        "fitted again; --no-resume does neither.",
    )
    cv: int = Field(5, ge=2, le=100, description="Folds of the search.")
    scoring: Literal[
        "balanced_accuracy", "accuracy", "f1_macro", "f1_weighted", "roc_auc_ovr", "neg_log_loss"
    ] = Field("balanced_accuracy", description="What the search maximises.")
    select: Literal["best", "1se"] = Field(
        "best",
        description="best takes the highest mean score, 1se the simplest candidate within one "
        "standard error of it.",
    )
    estimate: Literal["auto", "holdout", "test", "cv", "nested", "repeated"] = Field(
        "auto",
        description="Where the honest number comes from: the test split, a share held out where "
        "there is none, nested cross-validation, the same repeated, or (optimistic, said so) the "
        "search's own folds. [test if there is one, else nested]",
    )
    holdout: float = Field(
        0.2, gt=0, le=0.5, description="Share that --estimate holdout keeps back."
    )
    repeats: int = Field(5, ge=2, le=100, description="Partitions that --estimate repeated makes.")
    calibrate: Literal["none", "temperature", "sigmoid", "isotonic", "auto"] = Field(
        "none",
        description="How scores become probabilities, fitted out of fold; auto takes the smallest "
        "log loss. none leaves them, and takes a temperature for heads without probabilities.",
    )
    threshold: str | None = Field(
        None,
        description="CLASS:recall=0.95 or CLASS:precision=0.9: decide for CLASS from the "
        "probability on that reaches it out of fold. [the likeliest class]",
    )
    costs: str | None = Field(
        None,
        description="CSV file of what it costs to decide for a column's class where a row's is "
        "true: decide for the least expected cost. [the likeliest class]",
    )
    learning_curve: bool = Field(
        False,
        description="Also train the chosen classifier on fewer images, and say what labelling "
        "more would add.",
    )
    coverage: float = Field(
        0.9, gt=0, lt=1, description="Share of images whose prediction set holds the true class."
    )
    coverage_over: Literal["images", "classes"] = Field(
        "images", description="Whether --coverage holds over all images or of every class."
    )
    sets: Literal["lac", "aps", "raps"] = Field(
        "lac",
        description="Prediction sets: lac are the smallest, aps larger for hard images and smaller "
        "for easy ones, raps the same without long tails of many classes.",
    )
    ood_rate: float = Field(
        0.01, gt=0, lt=1, description="Share of ordinary images flagged as out of distribution."
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of folds, samplers and heads.")
    jobs: int | None = Field(None, ge=1, description="Threads of the search. [CPU cores]")
    cluster: str | None = Field(None, description=_CLUSTER)
    address: str | None = Field(None, description=_ADDRESS)
    name: str | None = Field(None, description="Name of the run. [data set and time]")
    runs: str = Field("runs", description="Folder that runs are written into.")
    overwrite: bool = Field(False, description="Replace a run of the same name.")


def _unfreezing(value: str) -> str:
    """What ``FinetuneConfig.unfreeze`` may be."""
    if re.fullmatch(r"head|all|gradual|last-[1-9][0-9]?", value):
        return value
    raise ValueError("should be head, last-N (such as last-1), all or gradual")


class FinetuneConfig(_Section):
    """A backbone unfrozen and trained on, from the linear head that its embeddings give."""

    from_run: str | None = Field(
        None,
        description="Run of featx fit on the same images, whose folds, test split, seed, scoring "
        "and backbone are taken.",
    )
    head: Literal["logreg", "mlp"] = Field(
        "logreg", description="Head that is fitted on the frozen embeddings and trained on."
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
    epochs: int = Field(10, ge=1, le=10000, description="The most times that all images are seen.")
    learning_rate: float = Field(1e-4, gt=0, le=100, description="Of the head.")
    layer_decay: float = Field(
        0.75,
        gt=0,
        le=1,
        description="Factor of the rate from each stage to the one below.",
    )
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = Field(
        "adamw", description="sgd has Nesterov's momentum of 0.9."
    )
    weight_decay: float = Field(0.01, ge=0, le=10, description="Biases and norms do not decay.")
    schedule: Literal["cosine", "one-cycle", "step", "plateau", "constant"] = Field(
        "cosine", description="How the learning rate goes on after the warm-up."
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of all steps that it rises over.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target that is spread over all classes."
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
    augment: Literal["none", "light", "medium", "strong", "randaugment"] = Field(
        "light", description="How training images are changed, anew in each step."
    )
    train_batch: int = Field(32, ge=1, le=65536, description="Images in a step.")
    accumulate: int = Field(
        1, ge=1, le=4096, description="Parts that a step's images are computed in, to save memory."
    )
    clip: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0 does not clip.")
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of a moving average of the weights; 0 has none."
    )
    train_batch_norm: bool = Field(False, description="Let statistics of batch normalisation move.")
    validation: float = Field(
        0.15, gt=0, le=0.5, description="Share of the training images that says when to stop."
    )
    monitor: Literal["loss", "score"] = Field(
        "loss", description="What of the validation images the best epoch is chosen by."
    )
    patience: int = Field(5, ge=1, description="Epochs without a better one before it stops.")
    trials: int | None = Field(
        None,
        ge=1,
        le=10000,
        description="Search --tune with so many trainings, the first as asked, judged by the "
        "validation images; anew for each fold. [none is searched; 20 with --budget]",
    )
    budget: Annotated[str, AfterValidator(_duration)] | None = Field(
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
    estimate: Literal["auto", "test", "cv"] = Field(
        "auto",
        description="Where the honest number comes from: the test split, or folds, each predicted "
        "by a model trained without it. [test if there is one, else cv]",
    )
    folds: int | None = Field(None, ge=2, le=100, description="Folds. [those of the run, else 5]")
    scoring: (
        Literal[
            "balanced_accuracy",
            "accuracy",
            "f1_macro",
            "f1_weighted",
            "roc_auc_ovr",
            "neg_log_loss",
        ]
        | None
    ) = Field(None, description="Score that is shown. [that of the run, else balanced_accuracy]")
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
    name: str | None = Field(None, description="Name of the run. [data set and time]")
    runs: str = Field("runs", description="Folder that runs are written into.")
    overwrite: bool = Field(False, description="Replace a run of the same name.")


class ScoreConfig(_Section):
    """A model and new images to one row per file."""

    output: str = Field("scores.csv", description="Output file: .csv, .jsonl or .parquet.")
    top_k: int = Field(1, ge=1, description="Best classes to name in each row.")
    proba: bool = Field(False, description="One column per class with its probability.")
    average_views: int = Field(
        0,
        ge=0,
        le=100,
        description="Mean probability over each image and so many augmented views of it.",
    )
    abstain_below: float | None = Field(
        None, ge=0, le=1, description="Abstain from predictions less likely than this."
    )
    sort_into: str | None = Field(None, description="Folder to sort the images into by class.")
    sort_mode: Literal["link", "copy"] = Field(
        "link",
        description="How --sort-into places files.",
        json_schema_extra={"choices_are_flags": True},
    )
    overwrite: bool = Field(False, description="Replace existing output.")


class CompareConfig(_Section):
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
    name: str | None = Field(
        None, description="With --finetune the runs are NAME-frozen and NAME-finetuned. [data set]"
    )
    overwrite: bool = Field(False, description="Replace existing output.")


class ScoreTarget(ScoreConfig):
    """The score section of a run configuration: also names the images."""

    images: str = Field(description="Folder or manifest of new images.")


class RunConfig(_Section):
    """What ``featx run`` reads: one section per stage."""

    data: DatasetConfig
    extract: ExtractConfig = Field(default_factory=ExtractConfig)
    fit: FitConfig = Field(default_factory=FitConfig)
    finetune: FinetuneConfig | None = None
    score: ScoreTarget | None = None


def parse_config(model: type[ModelT], values: dict[str, Any], *, source: str) -> ModelT:
    """Validate ``values`` against ``model``, reporting every fault with its dotted key.

    Raises
    ------
    ConfigError
        Unknown keys (with the nearest match), wrong types (with the YAML trap behind them where
        there is one) and values out of range, all in one message.
    """
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        lines = [_explain(model, fault) for fault in error.errors(include_url=False)]
        unique = list(dict.fromkeys(lines))
        raise ConfigError(f"{source}: " + "\n".join(unique)) from None


def _explain(model: type[BaseModel], fault: Any) -> str:
    """One fault of pydantic's in featx's words: key, problem, value, what is allowed."""
    key = ".".join(str(part) for part in fault["loc"] if part not in {"int", "literal['auto']"})
    value = fault["input"]
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, fault["loc"][:-1])
        guess = nearest(str(fault["loc"][-1]), known)
        return f"unknown key {key!r}" + (
            f"; did you mean {guess!r}?" if guess else f"; known keys: {', '.join(sorted(known))}."
        )
    if fault["type"] == "missing":
        return f"{key}: this key is required."
    said = fault["msg"].removeprefix("Value error, ")
    problem = f"{key}: {said[0].lower()}{said[1:]}. Got {value!r}"
    return problem + _yaml_trap(value) + "."


def _yaml_trap(value: Any) -> str:
    """What YAML may have done to the value behind the user's back."""
    if isinstance(value, bool):
        return (
            f" (YAML reads {'yes, on' if value else 'no, off'} as {value}; quote it to mean text)"
        )
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return ""
        plain = int(number) if number.is_integer() else number
        return f" (YAML reads {value} as text; write it as {plain} without quotes)"
    return ""


def _keys_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names of the fields that the section at ``location`` has."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        for candidate in getattr(field.annotation, "__args__", (field.annotation,)):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return list(model.model_fields)


def load_config(path: str, *, overrides: tuple[str, ...] = ()) -> RunConfig:
    """Read a YAML file into a `RunConfig`.

    Parameters
    ----------
    path : str
        The file, UTF-8.
    overrides : tuple of str
        ``"section.key=value"`` pairs that win over the file; values are YAML.

    Raises
    ------
    ConfigError
        The file cannot be read, is not YAML, or holds faults; all are listed with their keys.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"Cannot read configuration {path!r}: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: expected a mapping of sections, got {type(values).__name__}.",
            hint=f"Sections are: {', '.join(RunConfig.model_fields)}.",
        )
    return make_config(values, overrides=overrides, source=path)


def make_config(
    values: dict[str, Any], *, overrides: tuple[str, ...] = (), source: str
) -> RunConfig:
    """A `RunConfig` of nested ``values``, with ``overrides`` as in `load_config`.

    Raises
    ------
    ConfigError
        See `load_config`; messages begin with ``source``.
    """
    for override in overrides:
        _apply_override(values, override)
    return parse_config(RunConfig, values, source=source)


def _apply_override(values: dict[str, Any], override: str) -> None:
    """Set ``a.b=value`` in nested ``values``."""
    import yaml

    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"--set {override!r} is not of the form section.key=value.")
    *parents, last = dotted.split(".")
    for parent in parents:
        below = values.setdefault(parent, {})
        if not isinstance(below, dict):
            raise ConfigError(f"--set {override!r}: {parent!r} is not a section.")
        values = below
    values[last] = yaml.safe_load(text)


def dump_config(config: BaseModel) -> str:
    """The resolved configuration as YAML that ``load_config`` reads back to the same values."""
    import yaml

    # Escaped, not allow_unicode: PyYAML writes some line breaks (U+0085) that it cannot read back.
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
