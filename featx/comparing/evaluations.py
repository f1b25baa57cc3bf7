"""Evaluations of several models on the same images: what of them can be set beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from featx.console import counted
from featx.errors import ComparisonError
from featx.runs import Predictions, Run

LEVEL, COPIES = "evaluated", "copies"


def alike(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """The runs on images that none of their models was fitted on, with the classes of all.

    Only where all are evaluations; other runs are given back as they are. A class that a model
    does not know has probability 0 there.

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    list of Run
        The same, or stand-ins with other ``classes`` and ``levels``.
    list of str
        What was done, in sentences.

    Raises
    ------
    ComparisonError
        Some are evaluations, and others are not.
    """
    evaluations = [run for run in runs if run.results.evaluation is not None]
    if 0 < len(evaluations) < len(runs):
        raise ComparisonError(
            f"{evaluations[0].named} is an evaluation of a finished model, and not all of the "
            "others are.",
            hint="Compare evaluations on the same images. Its own summary and results.json hold "
            "it against the estimate that its model was shipped with.",
        )
    if not evaluations or not all(LEVEL in run.levels for run in runs):
        return list(runs), []
    copies: set[str] = set()
    for run in runs:
        if COPIES in run.levels:
            copies.update(run.levels[COPIES].ids.tolist())
    classes = runs[0].classes
    if any(run.classes != classes for run in runs):
        classes = sorted({name for run in runs for name in run.classes})
    kept = {id(run): _without(run.levels[LEVEL], copies) for run in runs}
    n = max(len(run.levels[LEVEL]) - len(kept[id(run)]) for run in runs)
    if not all(len(part) for part in kept.values()):
        return list(runs), []
    notes = [
        f"{counted(n, 'image')} left out: copies of images that one of the models was fitted on."
    ]
    stand_ins = [_stand_in(run, classes, kept[id(run)]) for run in runs]
    return stand_ins, notes if n else []


def _without(part: Predictions, ids: set[str]) -> Predictions:
    return part.take(np.array([name not in ids for name in part.ids.tolist()], bool))


def _stand_in(run: Run, classes: list[str], part: Predictions) -> Run:
    column = np.array([classes.index(name) for name in run.classes], np.int64)
    results = run.results.model_copy(update={"classes": classes})
    stand_in = Run(run.folder, results, name=run.name)
    wide = _widened(part, column, len(classes))
    vars(stand_in).update(predictions=run.predictions, levels={LEVEL: wide})
    return stand_in


def _widened(part: Predictions, column: NDArray[np.int64], n_classes: int) -> Predictions:
    """The predictions with a column for each of the classes."""
    proba = np.zeros((len(part), n_classes))
    proba[:, column] = part.proba
    return replace(part, y=column[part.y], y_pred=column[part.y_pred], proba=proba)
