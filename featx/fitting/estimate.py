"""How good the chosen classifier is, from images that chose nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.config import FitConfig
from featx.data.splits import Folds, make_folds
from featx.errors import FitError
from featx.fitting.candidates import Trial
from featx.fitting.choice import best_of
from featx.fitting.data import Part
from featx.fitting.search import FoldSearch, defined_mean, pipeline_outputs, replace_folds
from featx.stats.calibration import fit_temperature
from featx.stats.intervals import describe_predictions

__all__ = ["Evaluation", "Held", "evaluate", "held_out", "search_temperature"]

Float = NDArray[np.float64]

MIN_NESTED_FOLDS, MAX_NESTED_FOLDS = 3, 5

TEST = "the test split, read once by the classifier fitted on all other images"
NESTED = "nested cross-validation: each fold predicted by what a search on the others chose"
CV_OPTIMISTIC = (
    "the folds that chose the parameters, pooled: optimistic, because the best of several was taken"
)
CV_UNCHOSEN = "cross-validation; only one candidate was tried, so nothing was chosen on it"
IMAGE_LEVEL = (
    "cross-validation of the chosen candidate with groups ignored: what would have been printed "
    "without them, not an estimate for new groups"
)


@dataclass(frozen=True)
class Held:
    """Predictions for images that the predicting classifier was not fitted on.

    Parameters
    ----------
    split : {"oof", "nested", "test"}
        Out-of-fold of the chosen trial, out-of-fold of nested searches, or the test split.
    part : Part
    fold : ndarray of shape (n,), int64
        -1 in the test split.
    probabilities : ndarray of shape (n, n_classes)
    """

    split: str
    part: Part
    fold: NDArray[np.int64]
    probabilities: Float

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Predicted classes as indices."""
        return np.asarray(self.probabilities.argmax(axis=1))


def search_temperature(search: FoldSearch, trial: Trial, folds: Sequence[int]) -> float | None:
    """Temperature from the out-of-fold margins of some folds; None without margins."""
    outputs = [search.outputs(trial, f) for f in folds]
    if not outputs[0].margins:
        return None
    y = np.concatenate([search.part.y[search.folds.fold == f] for f in folds])
    return fit_temperature(np.concatenate([o.scores for o in outputs]), y)


def held_out(search: FoldSearch, trials: Sequence[Trial], split: str) -> Held:
    """Out-of-fold predictions, fold ``i`` by ``trials[i]``.

    Margins become probabilities by a temperature from the other folds' margins, so that no
    image takes part in the calibration it is judged by.
    """
    probabilities = np.zeros((len(search.part), len(search.part.classes)))
    for fold, trial in enumerate(trials):
        others = [f for f in range(search.folds.n_folds) if f != fold]
        temperature = search_temperature(search, trial, others)
        outputs = search.outputs(trial, fold)
        probabilities[search.folds.fold == fold] = outputs.probabilities(temperature)
    return Held(split, search.part, search.folds.fold, probabilities)


def nested_folds(part: Part, folds: Folds, *, seed: int) -> Folds:
    """The outer folds: the search's own where there are 3 to 5 of them.

    Raises
    ------
    FitError
        Fewer than three folds can be made: the inner search would have nothing to train on.
    """
    wanted = min(max(folds.n_folds, MIN_NESTED_FOLDS), MAX_NESTED_FOLDS)
    if wanted != folds.n_folds:
        folds = make_folds(part.y, part.components, part.classes, n_folds=wanted, seed=seed)
    if folds.n_folds < MIN_NESTED_FOLDS:
        raise FitError(
            f"Nested cross-validation needs {MIN_NESTED_FOLDS} folds; these images and groups "
            f"allow {folds.n_folds}.",
            hint="Use --estimate cv, which is optimistic, or give a test split.",
        )
    return folds


def nested_trials(search: FoldSearch, trials: Sequence[Trial]) -> list[Trial]:
    """The trial that each outer fold's inner search chooses.

    The inner folds of outer fold ``i`` are the other outer folds. A fit with folds ``i`` and
    ``j`` held out is an inner fit of both outer folds: tested on ``j`` it serves ``i``, tested
    on ``i`` it serves ``j``. Ten fits thus do the work of twenty, with nothing left out.
    """
    search.check(search.pairs)
    search.run(trials, search.pairs, keep=False, label="Nested search")
    usable = [t for t in trials if t.setup not in search.refused]
    if not usable:
        raise FitError(f"Nothing could be fitted. {next(iter(search.refused.values()))}")

    def inner_score(trial: Trial, outer: int) -> float:
        inner = (i for i in range(search.folds.n_folds) if i != outer)
        scores = [search.scores[trial, (min(outer, i), max(outer, i)), i] for i in inner]
        return defined_mean(np.array(scores))

    return [
        best_of(usable, lambda t, outer=outer: inner_score(t, outer))  # type: ignore[misc]
        for outer in range(search.folds.n_folds)
    ]


@dataclass(frozen=True)
class Evaluation:
    """The estimate, others for comparison, and the predictions behind them."""

    estimate: dict[str, Any]
    others: dict[str, dict[str, Any]]
    held: list[Held]
    notes: list[str]


def evaluate(
    search: FoldSearch,
    trials: Sequence[Trial],
    chosen: Trial,
    config: FitConfig,
    *,
    test: Part | None,
    pipeline: Any,
    temperature: float | None,
) -> Evaluation:
    """Estimate how good the chosen trial is, as ``config.estimate`` asks.

    Besides the number to report there is always ``cv``, the search's own folds, and where
    there are groups ``image_level``: what folds that ignore them would have said.
    """
    notes: list[str] = []
    oof = held_out(search, [chosen] * search.folds.n_folds, "oof")
    free = len(trials) == 1
    estimates = {"cv": _describe(oof, "cv", CV_UNCHOSEN if free else CV_OPTIMISTIC, config)}
    held = [oof]
    reported = "cv"
    if test is not None:
        outputs = pipeline_outputs(pipeline, test.X[chosen.setup.backbone])
        fold = np.full(len(test), -1)
        held.append(Held("test", test, fold, outputs.probabilities(temperature)))
        estimates["test"] = _describe(held[-1], "test", TEST, config)
        reported = "test"
    elif config.estimate in {"auto", "nested"} and not free:
        nested = _nested(search, trials, config, notes)
        if nested is not None:
            held.append(nested)
            estimates["nested"] = _describe(nested, "nested", NESTED, config)
            reported = "nested"
    if search.part.groups is not None and not search.part.grouped:
        notes.append(
            "Every group holds one distinct image: keeping groups together changes nothing."
        )
    elif search.part.grouped:
        level = _image_level(search, chosen)
        estimates["image_level"] = _describe(level, "image_level", IMAGE_LEVEL, config)
        notes.append(_group_note(estimates["cv"], estimates["image_level"], config.scoring))
    return Evaluation(estimates.pop(reported), estimates, held, notes)


def _nested(
    search: FoldSearch, trials: Sequence[Trial], config: FitConfig, notes: list[str]
) -> Held | None:
    """Nested predictions; None, with a note, where ``auto`` finds them impossible."""
    try:
        folds = nested_folds(search.part, search.folds, seed=config.seed)
        outer = search
        if folds is not search.folds:
            outer = replace_folds(search, search.part, folds)
        choices = nested_trials(outer, trials)
    except FitError as error:
        if config.estimate == "nested":
            raise
        notes.append(
            f"The estimate is the search's own cross-validation, which is optimistic: "
            f"{error.message}"
        )
        return None
    outer.run(list(dict.fromkeys(choices)), outer.single, keep=True, label="Nested folds")
    return held_out(outer, choices, "nested")


def _image_level(search: FoldSearch, chosen: Trial) -> Held:
    """Out-of-fold predictions of ``chosen`` on folds that ignore groups."""
    part = replace(search.part, groups=None)
    folds = make_folds(
        part.y,
        part.components,
        part.classes,
        n_folds=search.folds.n_folds,
        seed=search.seed,
    )
    level = replace_folds(search, part, folds)
    level.run([chosen], level.single, keep=True, label="Folds without groups")
    return held_out(level, [chosen] * folds.n_folds, "image_level")


def _group_note(grouped: dict[str, Any], level: dict[str, Any], scoring: str) -> str:
    """Both numbers in one sentence."""
    name = scoring.removeprefix("neg_")
    values = (e["metrics"][name]["value"] for e in (grouped, level))
    kept, ignored = ("undefined" if v is None else f"{v:.4f}" for v in values)
    return (
        f"The chosen candidate's cross-validated {name} is {kept} with groups kept together and "
        f"{ignored} with groups ignored: only the first holds for new groups."
    )


def _describe(held: Held, method: str, description: str, config: FitConfig) -> dict[str, Any]:
    """JSON of one estimate: how it was made, for whom it holds, and every metric."""
    part = held.part
    numbers = describe_predictions(
        part.y,
        held.probabilities,
        part.classes,
        part.components,
        unit=part.unit,
        seed=config.seed,
    )
    n_groups = None if part.groups is None else len(np.unique(part.groups))
    return {"method": method, "description": description, "n_groups": n_groups, **numbers}
