"""How a classifier is selected and evaluated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from featx.config._section import (
    ADDRESS,
    BY,
    CLUSTER,
    GROUP_ANSWER,
    MLFLOW,
    NAME,
    OVERWRITE,
    PREVALENCE,
    RUNS,
    THRESHOLD,
    Duration,
    Number,
    Scoring,
    Section,
)
from featx.config.protocols import follow
from featx.config.report import HEAT_MAPS, by_default
from featx.types import SITES, Components

KINDS = ("number", "category")  # of columns of --tabular


def _components(value: Any) -> Any:
    """What `featx.types.Components` leaves open."""
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value == "none" or whole or (isinstance(value, float) and 0 < value < 1):
        return value
    raise ValueError("should be none, a number of components, or a share above 0 and below 1")


def _sites(value: str) -> str:
    """The whole name of an estimate."""
    return SITES if value == "sites" else value


def _column(text: str) -> tuple[str, str | None]:
    """The name of a column, and its kind where one is given."""
    name, found, kind = text.rpartition(":")
    return (name, kind) if found and kind in KINDS else (text, None)


def _columns(texts: list[str]) -> list[str]:
    """Every column once, with a name."""
    names = [_column(text)[0] for text in texts]
    for name in names:
        if not name:
            raise ValueError("should be the name of a column")
        if names.count(name) > 1:
            raise ValueError(f"names the column {name!r} twice")
    return texts


class FitConfig(Section):
    """Embeddings to a searched, honestly evaluated classifier."""

    @model_validator(mode="before")
    @classmethod
    def _of_protocol(cls, given: Any) -> Any:
        return follow(given) if isinstance(given, dict) else given

    head: list[str] = Field(
        default_factory=lambda: ["logreg"], description="Classifier to try; may be repeated."
    )
    protocol: Literal["dinov2", "dinov3", "clip", "vtab"] | None = Field(
        None,
        description="Linear-probe protocol of a paper: sets head, values of C, tolerance and "
        "scaling; C is chosen on the val split where there is a test split too. [none]",
    )
    race: str | None = Field(
        None,
        description="Folder of a finished `featx race`: fit on what won it. Images that it drew "
        "are trained on and not evaluated on. [no race]",
    )
    concat: bool = Field(
        False, description="Also try the concatenated embeddings of all named backbones."
    )
    sampler: list[str] = Field(
        default_factory=lambda: ["none"],
        description="Resampling inside the folds; may be repeated. none is always tried too.",
    )
    pca: list[Annotated[Components, BeforeValidator(_components)]] = Field(
        default=["none"],
        description="Principal components of the scaled embeddings, fitted inside the folds: "
        "none, a number of them, or enough for a share of the variance, such as 0.95; may "
        "be repeated.",
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
        description="grid tries every value and extends a range whose end is best; random and "
        "bayes draw --trials points from a head's space; halving tries all on few images "
        "first.",
    )
    trials: int | None = Field(
        None,
        ge=1,
        description="Points to draw for each row of candidates; without it, halving tries the "
        "grid. [30 for random and bayes]",
    )
    budget: Duration | None = Field(
        None,
        description="Time limit for the search and the nested searches that evaluate it, such "
        "as 5m, 90s or 2h30m; what is tried then depends on the machine. [no limit]",
    )
    ensemble: list[Literal["vote", "stack"]] = Field(
        default_factory=list,
        description="Also try ensembles of the candidates: vote averages their probabilities, "
        "stack weighs them by logistic regression; may be repeated.",
    )
    members: int | None = Field(
        None, ge=2, le=100, description="Number of candidates in an ensemble, the best first. [all]"
    )
    seeds: int = Field(
        1,
        ge=1,
        le=100,
        description="Copies of each seed-dependent candidate, with different seeds; all vote.",
    )
    resume: bool = Field(
        True,
        description="Keep scores in RUNS/.searches and reuse them instead of fitting again; "
        "--no-resume does neither.",
    )
    cv: int = Field(5, ge=2, le=100, description="Number of folds of the search.")
    scoring: Scoring = Field("balanced_accuracy", description="Score that the search maximises.")
    select: Literal["best", "1se"] = Field(
        "best",
        description="best takes the highest mean score, 1se the simplest candidate within one "
        "standard error of it.",
    )
    estimate: Annotated[
        Literal[
            "auto", "holdout", "test", "cv", "nested", "repeated", "leave-one-group-out", "sites"
        ],
        AfterValidator(_sites),
    ] = Field(
        "auto",
        description="How performance is estimated: the test split, a share held out where "
        "there is none, nested cross-validation, the same repeated, the same with every group "
        "left out by itself (sites for short), or the search's own "
        "folds (too high on average; a note says so). [test if there is one, else nested]",
    )
    by: list[str] = Field(default_factory=list, description=BY)
    group_answer: str = Field(
        "mean",
        description=f"{GROUP_ANSWER}; auto chooses out of fold. What is set is kept in the model.",
    )
    tabular: Annotated[list[str], AfterValidator(_columns)] = Field(
        default_factory=list,
        description="Also fit on this column beside the embedding (age, depth, month): of the "
        "manifest, or a field of EXIF; NAME:number or NAME:category says what it holds; may be "
        "repeated.",
    )
    holdout: float = Field(
        0.2, gt=0, le=0.5, description="Share of images that --estimate holdout sets aside."
    )
    repeats: int = Field(
        5, ge=2, le=100, description="Number of partitions of --estimate repeated."
    )
    calibrate: Literal["none", "temperature", "sigmoid", "isotonic", "auto"] = Field(
        "none",
        description="How scores become probabilities, fitted out of fold; auto selects the "
        "smallest log loss; none changes nothing, except a temperature for heads without "
        "probabilities.",
    )
    threshold: str | None = Field(
        None, description=f"{THRESHOLD} Chosen out of fold. [the likeliest class]"
    )
    prevalence: float | None = Field(None, gt=0, lt=1, description=PREVALENCE)
    costs: str | None = Field(
        None,
        description="CSV file of costs, true classes in rows and predicted classes in columns: "
        "predict the class of least expected cost. [the likeliest class]",
    )
    learning_curve: bool = Field(
        False,
        description="Also train the chosen classifier on fewer images and forecast the gain "
        "from labelling more.",
    )
    coverage: float = Field(
        0.9, gt=0, lt=1, description="Share of images whose prediction set holds the true class."
    )
    coverage_over: Literal["images", "classes"] = Field(
        "images", description="Whether --coverage holds over all images or for each class."
    )
    sets: Literal["lac", "aps", "raps"] = Field(
        "lac",
        description="Prediction sets: lac gives the smallest; aps larger ones for hard images, "
        "smaller for easy; raps is aps without long tails of many classes.",
    )
    ood_rate: float = Field(
        0.01, gt=0, lt=1, description="Share of ordinary images flagged as out of distribution."
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of folds, samplers and heads.")
    jobs: int | None = Field(None, ge=1, description="Threads of the search. [CPU cores]")
    search_device: str = Field(
        "cpu",
        pattern=r"^(cpu|cuda(:\d+)?)$",
        description="Where the search fits logistic regressions: cpu, cuda or cuda:N.",
    )
    cluster: str | None = Field(None, description=CLUSTER)
    address: str | None = Field(None, description=ADDRESS)
    name: str | None = Field(None, description=NAME)
    runs: str = Field("runs", description=RUNS)
    overwrite: bool = Field(False, description=OVERWRITE)
    mlflow: str | None = Field(None, description=MLFLOW)
    report: bool = Field(default_factory=by_default, description="Write report.html into the run.")
    heat_maps: bool = Field(False, description=f"{HEAT_MAPS} `featx report` can add them later.")

    @property
    def by_columns(self) -> list[str]:
        """Columns of the data set that predictions are to have."""
        return [*dict.fromkeys([*self.by, *(["group"] if self.estimate == SITES else [])])]

    @property
    def tabular_kinds(self) -> dict[str, str | None]:
        """Columns to fit on, each with the kind that was asked for, if any."""
        return dict(_column(text) for text in self.tabular)

    @property
    def kept_columns(self) -> dict[str, str]:
        """Columns of the data set that are to be read -> the option that asks for each."""
        named = {name: f"--by {name}" for name in self.by_columns}
        return {**named, **{name: f"--tabular {name}" for name in self.tabular_kinds}}
