"""Prediction sets: fitting them, and what they achieve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from featx.artifact.conformity import conformities
from featx.artifact.trust import PredictionSets
from featx.config import FitConfig
from featx.stats.conformal import set_thresholds
from featx.stats.shares import shares
from featx.types import BoolArray, FloatArray, IntArray


def fit_sets(y: IntArray, probabilities: FloatArray, config: FitConfig) -> PredictionSets:
    """Prediction sets as ``config`` asks for, from predictions for images not trained on."""
    thresholds = set_thresholds(
        y,
        conformities(config.sets, probabilities),
        coverage=config.coverage,
        over=config.coverage_over,
    )
    return PredictionSets(
        coverage=config.coverage,
        over=config.coverage_over,
        thresholds=thresholds.tolist(),
        method=config.sets,
    )


def describe_sets(
    inside: BoolArray,
    abstained: BoolArray,
    y: IntArray,
    right: BoolArray,
    classes: Sequence[str],
    units: IntArray,
    *,
    seed: int,
    n_folds: int | None = None,
) -> dict[str, Any]:
    """What prediction sets achieve, as JSON.

    Parameters
    ----------
    inside : ndarray of shape (n, n_classes), bool
        Which classes are in the set of each image.
    abstained, right : ndarray of shape (n,), bool
        Whether the model abstains, and whether the prediction is the true class.
    y : ndarray of shape (n,), int64
        True classes, indices into ``classes``.
    classes : sequence of str
    units : ndarray of shape (n,), int64
        What is drawn together, numbered from 0.
    seed : int
    n_folds : int, optional
        See `featx.stats.shares.shares`.

    Returns
    -------
    dict
        ``covered``, ``abstained``, ``accuracy_of_the_others``, ``mean_size`` and
        ``covered_by_class``; see `featx.runs.estimates.SetsAchieved`.
    """
    covered = inside[np.arange(len(y)), y]
    everyone = np.ones(len(y), bool)
    achieved = shares(
        [(covered, everyone), (abstained, everyone), (right, ~abstained)]
        + [(covered, y == c) for c in range(len(classes))],
        units,
        seed=seed,
        n_folds=n_folds,
    )
    return {
        "covered": achieved[0],
        "abstained": achieved[1],
        "accuracy_of_the_others": achieved[2],
        "mean_size": float(inside.sum(axis=1).mean()),
        "covered_by_class": dict(zip(classes, achieved[3:], strict=True)),
    }
