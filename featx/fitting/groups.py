"""One answer for a group of images, such as a patient: fitted out of fold, and what it achieves.

A fold's groups are answered by what the other folds' groups fit: the way where it is chosen
(``auto``), the thresholds of prediction sets, and the decision. So nothing is measured on groups
that took part in fitting it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.artifact.trust import GroupAnswers, PredictionSets
from featx.config import FitConfig
from featx.console import counted
from featx.errors import UsageError
from featx.fitting.held import HeldOut
from featx.fitting.rules import Rule
from featx.fitting.sets import describe_sets, fit_sets
from featx.runs.estimates import Estimate
from featx.stats.conformal import fewest_images
from featx.stats.groups import AUTO, Way, possible_ways, read_way
from featx.stats.intervals import describe_predictions
from featx.stats.metrics import fold_score, metric_name
from featx.types import SITES, BoolArray, FloatArray, IntArray

Decide = Callable[[FloatArray], Any]

WHERE = {
    "test": "the test split",
    "holdout": "the share held out",
    "nested": "nested cross-validation",
    SITES: "every group left out by itself",
    "repeated": "repeated cross-validation",
}


@dataclass(frozen=True)
class GroupRule:
    """How groups are answered.

    Parameters
    ----------
    config : FitConfig
        ``group_answer``, and what prediction sets and the choice of the way are fitted by.
    rule : Rule, optional
        What decisions are to reach; fitted for each fold on the others.
    answers : GroupAnswers, optional
        What was fitted on other images: it answers for images of no fold.
    decide : callable, optional
        Predicted classes from probabilities, likewise; by default the likeliest.
    """

    config: FitConfig
    rule: Rule | None = None
    answers: GroupAnswers | None = None
    decide: Decide | None = None


@dataclass(frozen=True, eq=False)
class _Pooled:
    """Groups with their probabilities by each way."""

    first: IntArray  # the first image of each group
    proba: dict[Way, FloatArray]
    y: dict[Way, IntArray]  # -1: the group has no class of its own

    @classmethod
    def of(cls, images: HeldOut, asked: str, answers: GroupAnswers | None = None) -> _Pooled:
        part, classes = images.part, images.part.classes
        assert part.groups is not None
        _, first, codes = np.unique(part.groups, return_index=True, return_inverse=True)
        wanted = [] if asked == AUTO else [read_way(asked, classes)]
        wanted += [] if answers is None else [read_way(answers.way, classes)]
        ways = list(dict.fromkeys([*wanted, *possible_ways(len(classes))]))
        return cls(
            first,
            {way: way.pool(images.proba, images.y_pred, codes) for way in ways},
            {way: way.labels(part.y, codes) for way in ways},
        )

    def labels(self, asked: str, classes: Sequence[str]) -> IntArray:
        """Classes of the groups that are evaluated: the same whichever way is chosen."""
        return self.y[Way("mean") if asked == AUTO else read_way(asked, classes)]

    def fit(self, some: BoolArray, classes: Sequence[str], config: FitConfig) -> GroupAnswers:
        """The way and the prediction sets, from some of the groups."""
        way = self._choose(some, config) if config.group_answer == AUTO else None
        way = way or read_way(config.group_answer, classes)
        sets: dict[str, PredictionSets] = {}
        for each, proba in self.proba.items():
            known = some & (self.y[each] >= 0)
            if known.any():
                sets[each.text(classes)] = fit_sets(self.y[each][known], proba[known], config)
        n = int((some & (self.y[way] >= 0)).sum())
        return GroupAnswers(way=way.text(classes), groups=n, sets=sets)

    def _choose(self, some: BoolArray, config: FitConfig) -> Way:
        """The way of the best score; of equally good ones the first, which is the mean."""
        known = some & (self.y[Way("mean")] >= 0)
        ways = possible_ways(next(iter(self.proba.values())).shape[1])
        if not known.any():
            return ways[0]
        y = self.y[Way("mean")][known]
        scores = [fold_score(config.scoring, y, self.proba[way][known]) for way in ways]
        return ways[int(np.argmax(np.nan_to_num(scores, nan=-np.inf).round(12)))]


def check_group_answer(config: FitConfig, classes: Sequence[str], *, grouped: bool) -> None:
    """Refuse a way that does not exist, or has no groups to be of.

    Raises
    ------
    UsageError, ConfigError, UnknownNameError
        See `featx.stats.groups.read_way`.
    """
    if config.group_answer != AUTO:
        read_way(config.group_answer, classes)
    if not grouped and "group_answer" in config.model_fields_set and config.group_answer != "mean":
        raise UsageError(
            f"--group-answer {config.group_answer} has no effect: the images have no groups.",
            hint="Name them with --group-column, --group-from or --group.",
        )


def fit_group_answers(images: HeldOut, config: FitConfig) -> GroupAnswers | None:
    """What a model needs to answer for groups, from predictions out of fold.

    None where there are no groups of several images.
    """
    if not images.part.grouped:
        return None
    pooled = _Pooled.of(images, config.group_answer)
    everything = np.ones(len(pooled.first), bool)
    return pooled.fit(everything, images.part.classes, config)


@dataclass(frozen=True, eq=False)
class _Answered:
    """What groups with a class of their own were answered."""

    y: IntArray
    proba: FloatArray
    y_pred: IntArray
    units: IntArray
    inside: BoolArray | None  # None: some have no prediction sets
    abstained: BoolArray
    ways: Counter[str]  # of the folds, or of what answers for all
    left_out: int

    @classmethod
    def joined(cls, parts: Sequence[_Answered]) -> _Answered:
        """Several answers for the same groups, one after the other."""
        rows = {
            name: np.concatenate([vars(part)[name] for part in parts])
            for name in ("y", "proba", "y_pred", "units", "abstained")
        }
        inside = [part.inside for part in parts if part.inside is not None]
        whole = np.concatenate(inside) if len(inside) == len(parts) else None
        ways = sum((part.ways for part in parts), Counter())
        return cls(**rows, inside=whole, ways=ways, left_out=parts[0].left_out)


def _answer(images: HeldOut, how: GroupRule) -> _Answered:
    part, config, classes = images.part, how.config, images.part.classes
    pooled = _Pooled.of(images, config.group_answer, how.answers)
    fold = images.fold[pooled.first]
    y = pooled.labels(config.group_answer, classes)
    n, ways = len(fold), Counter[str]()
    proba, y_pred = np.zeros((n, len(classes))), np.zeros(n, np.int64)
    inside, abstained, without = np.zeros(proba.shape, bool), np.zeros(n, bool), False
    for each in np.unique(fold):
        rows, answers, decide = fold == each, how.answers, how.decide
        if each >= 0:
            others = images.fold != each
            answers = pooled.fit(~rows, classes, config)
            decide = None
            if how.rule is not None:
                decide = how.rule.fit(part.y[others], images.proba[others]).decide
        text = config.group_answer if answers is None else answers.way
        way = read_way(text, classes)
        ways[text] += 1
        p = proba[rows] = pooled.proba[way][rows]
        if decide is None or way.name == "vote":  # votes were decided image by image
            decide = _likeliest
        y_pred[rows] = first = np.asarray(decide(p), np.int64)
        sets = None if answers is None else answers.sets.get(text)
        if sets is None:
            without = True
        else:
            inside[rows], abstained[rows] = sets.sets(p, first), sets.abstains(p, first)
    known = y >= 0
    units = np.unique(part.components[pooled.first][known], return_inverse=True)[1]
    return _Answered(
        y[known], proba[known], y_pred[known], units.astype(np.int64),
        None if without else inside[known], abstained[known], ways, int((~known).sum()),
    )  # fmt: skip


def _likeliest(proba: FloatArray) -> IntArray:
    return np.asarray(proba.argmax(axis=1))


def describe_groups(images: Sequence[HeldOut], how: GroupRule) -> dict[str, Any] | None:
    """Every metric on groups, and what their prediction sets cover, as JSON.

    Parameters
    ----------
    images : sequence of HeldOut
        One, or several predictions of the same images.
    how : GroupRule

    Returns
    -------
    dict or None
        See `featx.runs.estimates.GroupEstimate`; None where fewer than two groups have a class.
    """
    classes, config, n_folds = images[0].part.classes, how.config, images[0].n_folds
    found = _Answered.joined([_answer(each, how) for each in images])
    if len(found.y) < 2 * len(images):
        return None
    numbers = describe_predictions(
        found.y,
        found.proba,
        classes,
        found.units,
        unit="groups",
        seed=config.seed,
        repeats=len(images),
        y_pred=found.y_pred,
        n_folds=n_folds,
    )
    numbers["n_predicted_groups"] = numbers.pop("n_images")
    document = {
        "way": found.ways.most_common(1)[0][0],
        "ways": dict(found.ways) if len(found.ways) > 1 else None,
        "groups_of_several_classes": found.left_out,
        **numbers,
        "prediction_sets": None,
    }
    if found.inside is not None:
        right = found.y_pred == found.y
        sets = how.answers and how.answers.sets.get(how.answers.way)
        achieved = describe_sets(
            found.inside, found.abstained, found.y, right, classes, found.units,
            seed=config.seed, n_folds=n_folds,
        )  # fmt: skip
        document["prediction_sets"] = {
            "coverage": sets.coverage if sets else config.coverage,
            "over": "classes" if (sets.over if sets else config.coverage_over) == "classes"
            else "groups",
            "method": sets.method if sets else config.sets,
            **achieved,
        }  # fmt: skip
    return document


def mixed_note(images: HeldOut, asked: str) -> list[str]:
    """How many groups have no class of their own, in a sentence, where there are any."""
    if not images.part.grouped:
        return []
    classes = images.part.classes
    y = _Pooled.of(images, asked).labels(asked, classes)
    n, mixed = len(y), int((y < 0).sum())
    if not mixed:
        return []
    end = f"the group-level numbers are of the other {n - mixed:,}."
    if n - mixed < 2:
        end = (
            "there are no group-level numbers. If one image of a class makes a group positive, "
            "give --group-answer max:CLASS."
        )
    return [
        f"{mixed:,} of {counted(n, 'group')} {'has' if mixed == 1 else 'have'} images of several "
        f"classes, and so no class of {'its' if mixed == 1 else 'their'} own: {end}"
    ]


def group_notes(images: HeldOut, config: FitConfig) -> list[str]:
    """Which groups have no class of their own, and where their sets are too wide to help."""
    answers, needed = fit_group_answers(images, config), fewest_images(config.coverage)
    notes = mixed_note(images, config.group_answer)
    if answers is not None and 2 <= answers.groups < needed:
        notes.append(
            f"The prediction sets of groups hold every class: {100 * config.coverage:g} % coverage "
            f"needs {needed} groups with a class of their own, and there are {answers.groups}."
        )
    return notes


def group_note(estimates: Mapping[str, Estimate], method: str, scoring: str, *, free: bool) -> str:
    """What groups change, by the same folds of the search with and without them.

    The number to report is the one that played no part in the choice, where there is one.
    """
    metric = scoring.removeprefix("neg_")
    values = {name: e.metrics[metric].value for name, e in estimates.items()}
    shown = {name: "undefined" if v is None else f"{v:.4f}" for name, v in values.items()}
    name = metric_name(metric)
    both = f"{shown['cv']} with groups kept together and {shown['image_level']} with groups ignored"
    if method == "cv":
        found = (
            f"The chosen candidate's cross-validated {name} is {both}: only the first estimates "
            "performance on new groups"
        )
        if free:
            return f"{found}."
        return (
            f"{found}, and it is too high on average, because candidates were selected on the "
            "same folds."
        )
    new = "" if method == "test" else " for new groups"  # a given test split may share some
    return (
        f"The {name} to report{new} is {shown[method]} ({WHERE[method]}). On the search's own "
        f"folds the chosen candidate has {both}; the two show the effect of groups"
    ) + (
        "."
        if free
        else f", and candidates were selected there{_optimistic(values, method, scoring)}."
    )


def _optimistic(values: Mapping[str, float | None], method: str, scoring: str) -> str:
    """By how much the folds that candidates were chosen on give a better number, where they do."""
    chosen, reported = values["cv"], values[method]
    if chosen is None or reported is None:
        return ""
    above = (chosen - reported) * (-1 if scoring.startswith("neg_") else 1)
    return f": the first is optimistic by {above:.4f}" if round(above, 4) > 0 else ""
