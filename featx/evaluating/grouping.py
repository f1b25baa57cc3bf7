"""How a finished model answers for groups of images of other classes than its own, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from featx.artifact.trust import PredictionSets, Trust
from featx.config import FitConfig
from featx.fitting.groups import GroupRule
from featx.scoring.groups import GroupScores
from featx.stats.groups import read_way
from featx.types import FloatArray, IntArray


def model_group_rule(
    trust: Trust, column: IntArray, n_classes: int, *, seed: int, way: str | None = None
) -> GroupRule:
    """The model's own way, prediction sets and decisions, with a column for every class.

    Parameters
    ----------
    trust : Trust
    column : ndarray of shape (n_known,), int64
        Place of each class of the model among all classes.
    n_classes : int
        Of the model and the images together.
    seed : int
        Of the resamples.
    way : str, optional
        Instead of the model's own.
    """
    answers, decide = trust.groups, None
    way = way or ("mean" if answers is None else answers.way)
    if answers is not None:
        sets = {k: _widened(each, column, n_classes) for k, each in answers.sets.items()}
        answers = answers.model_copy(update={"way": way, "sets": sets})
    if trust.decision is not None:

        def decide(proba: FloatArray) -> Any:
            return column[trust.decide(proba[:, column])]

    return GroupRule(FitConfig(seed=seed, group_answer=way), answers=answers, decide=decide)


def _widened(sets: PredictionSets, column: IntArray, n_classes: int) -> PredictionSets:
    """A class that the model does not know, whose probability is 0, is in no set."""
    thresholds = np.ones(n_classes)
    thresholds[column] = sets.thresholds
    return sets.model_copy(update={"thresholds": thresholds.tolist()})


def group_table(
    groups: GroupScores, labels: Mapping[str, set[str]]
) -> tuple[list[str], list[list[Any]]]:
    """``groups.csv``: what was predicted for each group beside its class.

    Parameters
    ----------
    groups : GroupScores
    labels : mapping of str to set of str
        Labels of the images of each group.

    Returns
    -------
    columns : list of str
    rows : list of list
        ``y_true`` is None where a group has no class of its own.
    """
    column = read_way(groups.way, groups.classes).column
    positive = None if column is None else groups.classes[column]
    rows = []
    for row in groups.rows():
        own = labels.get(row[0], set())
        true = positive if positive in own else next(iter(own)) if len(own) == 1 else None
        rows.append([row[0], true, *row[1:]])
    return [groups.columns[0], "y_true", *groups.columns[1:]], rows
