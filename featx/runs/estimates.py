"""How good a model is and how far to trust it, as ``results.json`` has it."""

from __future__ import annotations

from pydantic import Field

from featx.record import Record


class Interval(Record):
    """A value with its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class ClassScores(Record):
    """How well one class is predicted; ``support`` is its number of images."""

    support: int
    precision: Interval
    recall: Interval
    f1: Interval
    roc_auc: Interval | None = None
    average_precision: Interval | None = None


class CalibrationError(Record):
    """Expected calibration error, and what right probabilities would give by chance."""

    ece: float
    bins: str
    if_right_mean: float
    if_right_high: float


class SetsAchieved(Record):
    """What prediction sets achieve on the images that judge."""

    coverage: float
    over: str
    method: str = "lac"
    pooled_classes: list[str] = Field(default_factory=list)
    covered: Interval
    abstained: Interval
    accuracy_of_the_others: Interval
    mean_size: float
    covered_by_class: dict[str, Interval]


class GroupEstimate(Record):
    """The same metrics on groups of images instead of images.

    ``way`` is how images gave the answer (`featx.stats.groups`); ``ways``, where it was chosen and
    folds chose differently, how many folds chose which.
    """

    way: str = "mean"
    ways: dict[str, int] | None = None
    groups_of_several_classes: int
    n_units: int
    interval: str
    metrics: dict[str, Interval]
    per_class: dict[str, ClassScores]
    calibration: CalibrationError | None = None
    confusion_matrix: list[list[int]]
    n_predicted_groups: int
    prediction_sets: SetsAchieved | None = None


class Repeats(Record):
    """Several partitions: how many, and the accuracy on each."""

    n: int
    accuracy: list[float]


class Estimate(Record):
    """How good the model is: how that was found, and every metric with its interval.

    ``method`` is ``test``, ``holdout``, ``nested``, ``repeated``, ``leave-one-group-out``, ``cv``
    or ``image_level``; rows of ``confusion_matrix`` are true classes.
    """

    method: str
    description: str
    n_groups: int | None = None
    n_images: int
    n_units: int | None = None
    interval: str
    metrics: dict[str, Interval]
    per_class: dict[str, ClassScores]
    calibration: CalibrationError | None = None
    confusion_matrix: list[list[int]]
    by_group: GroupEstimate | None = None
    repeats: Repeats | None = None


class NearCopies(Record):
    """Of held-out images, how many have a nearly identical training image.

    ``judged`` is the split that they are of. Accuracies are None where there is no such image.
    """

    judged: str
    images: int
    near: int
    accuracy_near: float | None
    accuracy_others: float | None


class Calibrated(Record):
    """The calibration that was asked for, and that was fitted."""

    asked: str
    method: str


class Decided(Record):
    """What a threshold or costs achieve on the images that judge.

    ``false_alarms`` are those in 1,000 images; ``prevalence`` is the share of the class that they
    and the predictive values are of, null where that is its share of the images that judge.
    """

    asked: str
    cutoff: float | None = None
    prevalence: float | None = None
    recall: Interval | None = None
    precision: Interval | None = None
    false_alarms: Interval | None = None
    specificity: Interval | None = None
    npv: Interval | None = None
    warning: str | None = None
    mean_cost: Interval | None = None
    mean_cost_of_the_likeliest: Interval | None = None


class NoveltyAchieved(Record):
    """The limit of the out-of-distribution score, and its false alarms."""

    method: str
    rate: float
    limit: float
    typical: float
    false_alarms: Interval


class Trusted(Record):
    """How far to trust the answers: what was asked for and what it achieved."""

    calibration: Calibrated
    decision: Decided | None = None
    prediction_sets: SetsAchieved
    novelty: NoveltyAchieved
