"""Operating points: what each class's cutoffs find and cost, as ``results.json`` has them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from featx.artifact.operating import OperatingCurves
from featx.artifact.threshold import Threshold
from featx.record import Record
from featx.runs.estimates import Decided, Interval
from featx.stats.operating import RATES, Evaluated, Resamples, called, describe_calls

OUT_OF_FOLD = "out of fold"

RECALLS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99, 1.0)
FEW_RECALLS = (0.8, 0.9, 0.95, 0.99)  # where there are many classes
MANY_CLASSES = 30


class OperatingPoint(Record):
    """A cutoff, and what deciding for the class from it on achieves.

    ``asked`` is what the cutoff was chosen for, such as ``recall=0.95``, or ``likeliest`` where no
    cutoff decides. ``false_alarms`` are those in 1,000 images; ``recall`` is also called
    sensitivity, ``precision`` positive predictive value, ``npv`` negative predictive value.
    """

    asked: str
    cutoff: float | None
    recall: Interval
    precision: Interval
    false_alarms: Interval
    specificity: Interval
    npv: Interval


class ClassPoints(Record):
    """The operating points of one class against the rest, the likeliest class first.

    ``images`` and ``others`` are those that the rates are measured on. ``prevalence`` is the share
    of the class among the images that they are of; null is its share of the images measured on.
    """

    images: int
    others: int
    prevalence: float | None = None
    points: list[OperatingPoint]


class OperatingPoints(Record):
    """Operating points of every class.

    ``positive`` is the class that is looked for: that of a threshold, or the rarer one of two.
    ``in_force`` is the threshold that decides, with what it achieves.
    """

    chosen_on: str
    estimated_on: str
    resamples: int
    positive: str | None = None
    in_force: Decided | None = None
    classes: dict[str, ClassPoints] = Field(default_factory=dict)


def positive_class(support: Sequence[int]) -> int | None:
    """Of two classes the one that is looked for: the rarer one, or the second; else None."""
    if len(support) != 2:
        return None
    return 0 if support[0] < support[1] else 1


def operating_points(
    evaluated: Evaluated,
    curves: OperatingCurves,
    names: Sequence[str],
    *,
    seed: int,
    threshold: Threshold | None = None,
    prevalence: float | None = None,
    estimated_on: str,
    chosen_on: str = OUT_OF_FOLD,
) -> OperatingPoints:
    """What cutoffs of each class find and cost, on images that did not choose them.

    Parameters
    ----------
    evaluated : Evaluated
        Where they come from folds, the rates of a fold are of cutoffs that the other folds give.
    curves : OperatingCurves
        What the model's cutoffs are chosen by.
    names : sequence of str
        The classes.
    seed : int
    threshold : Threshold, optional
        One that is asked for: its class is the positive one.
    prevalence : float, optional
        Share of the positive class among the images that the rates are to be of.
    estimated_on : str
        The method of the estimate.
    chosen_on : {"out of fold", "validation"}
    """
    n_classes, support = len(names), curves.support.tolist()
    recalls = RECALLS if n_classes <= MANY_CLASSES else FEW_RECALLS
    positive = positive_class(support) if threshold is None else threshold.column
    n_columns = n_classes * (2 + 3 * (1 + len(recalls)))
    resamples = Resamples(evaluated.units, seed=seed, n_columns=n_columns)
    classes = {}
    for c, name in enumerate(names):
        at = prevalence
        if prevalence is not None and c != positive:
            at = 1 - prevalence if n_classes == 2 else None
        wanted = [Threshold(c, name, "recall", recall, at) for recall in recalls]
        classes[name] = _points(evaluated, resamples, curves, wanted)
    return OperatingPoints(
        chosen_on=chosen_on,
        estimated_on=estimated_on,
        resamples=len(resamples),
        positive=None if positive is None else names[positive],
        classes=classes,
    )


def _points(
    evaluated: Evaluated,
    resamples: Resamples,
    curves: OperatingCurves,
    wanted: Sequence[Threshold],
) -> ClassPoints:
    """Those of one class."""
    column, at = wanted[0].column, wanted[0].prevalence
    own, levels = evaluated.y == column, curves.levels(column)
    cutoffs = [each.choose(levels) for each in wanted]
    calls = [evaluated.proba.argmax(axis=1) == column] + [
        called(evaluated, column, each.choose, cutoff)
        for each, cutoff in zip(wanted, cutoffs, strict=True)
    ]
    rows = describe_calls(resamples, own, calls, n_folds=evaluated.n_folds, prevalence=at)
    heads = [("likeliest", None)] + [
        (f"recall={each.target:g}", cutoff) for each, cutoff in zip(wanted, cutoffs, strict=True)
    ]
    return ClassPoints(
        images=int(own.sum()) // evaluated.n_repeats,
        others=int((~own).sum()) // evaluated.n_repeats,
        prevalence=at,
        points=[
            OperatingPoint(asked=asked, cutoff=cutoff, **{r: row[r] for r in RATES})
            for (asked, cutoff), row in zip(heads, rows, strict=True)
        ],
    )
