"""How good the chosen classifier is, from images that chose nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.artifact.calibration import Calibration
from featx.config import FitConfig
from featx.data.splits import Folds, make_folds
from featx.errors import FitError
from featx.fitting.calibrate import search_calibration
from featx.fitting.candidates import Trial
from featx.fitting.data import Part
from featx.fitting.exploring import Explorer
from featx.fitting.refit import Refits
from featx.fitting.rules import decide_by_fold
from featx.fitting.search import FoldSearch, replace_folds
from featx.fitting.training import pipeline_outputs
from featx.runs.estimates import Estimate
from featx.stats.groups import group_predictions
from featx.stats.intervals import describe_predictions
from featx.stats.metrics import metric_name

__all__ = [
    "Evaluation",
    "Held",
    "Tested",
    "describe_held",
    "evaluate",
    "held_out",
    "n_nested_searches",
]

Float = NDArray[np.float64]

MIN_NESTED_FOLDS, MAX_NESTED_FOLDS = 3, 5

DESCRIPTIONS = {
    "test": "the test split, read once by the classifier fitted on all other images",
    "holdout": "a share held out, read once by the classifier fitted on all other images",
    "nested": "nested cross-validation: each fold predicted by what a search on the others chose",
    "repeated": "nested cross-validation on several partitions, each image predicted once in each",
}
REPEATED_UNCHOSEN = (
    "cross-validation on several partitions, each image predicted once in each; only one "
    "candidate was tried, so nothing was chosen on it"
)
CV_CHOSEN = (
    "the search's own folds, pooled; the best of several candidates was chosen on them, which "
    "makes such a number too high on average"
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
    split : str
        ``oof`` (out-of-fold of the chosen trial), ``nested`` (out-of-fold of nested searches),
        ``repeated-1`` and so on, ``test`` or ``holdout``.
    part : Part
    fold : ndarray of shape (n,), int64
        -1 in the test split and in what was held out.
    probabilities : ndarray of shape (n, n_classes)
    decided : ndarray of shape (n,), int64, optional
        Predicted classes where they are not the likeliest ones.
    """

    split: str
    part: Part
    fold: NDArray[np.int64]
    probabilities: Float
    decided: NDArray[np.int64] | None = None

    @property
    def n_folds(self) -> int | None:
        """Folds, each predicted by another classifier; None where one predicted all."""
        return int(self.fold.max()) + 1 or None

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Predicted classes as indices."""
        if self.decided is not None:
            return self.decided
        return np.asarray(self.probabilities.argmax(axis=1))


@dataclass(frozen=True)
class Tested:
    """Images that judge the returned classifier once; ``method`` is ``test`` or ``holdout``."""

    method: str
    part: Part


def held_out(search: FoldSearch, trials: Sequence[Trial], split: str) -> Held:
    """Out-of-fold predictions, fold ``i`` by ``trials[i]``.

    The calibration of a fold comes from the other folds' outputs, so that no image takes part in
    the calibration it is judged by.
    """
    probabilities = np.zeros((len(search.part), len(search.part.classes)))
    for fold, trial in enumerate(trials):
        others = [f for f in range(search.folds.n_folds) if f != fold]
        calibration = search_calibration(search, trial, others)
        outputs = search.outputs(trial, fold)
        probabilities[search.folds.fold == fold] = outputs.probabilities(calibration)
    by_image = search.folds.fold
    decided = decide_by_fold(search.rule, search.part.y, probabilities, by_image)
    return Held(split, search.part, by_image, probabilities, decided)


def n_nested_searches(config: FitConfig) -> int:
    """How many nested searches estimate what images that judge once do not."""
    if config.estimate == "repeated":
        return config.repeats
    return int(config.estimate in {"auto", "nested"})


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
            hint="Use --estimate cv, which is too high on average, or give a test split.",
        )
    return folds


@dataclass(frozen=True)
class Evaluation:
    """The estimate, others for comparison, and the predictions behind them."""

    estimate: Estimate
    others: dict[str, Estimate]
    held: list[Held]
    notes: list[str]


def evaluate(
    search: FoldSearch,
    explorer: Explorer,
    chosen: Trial,
    config: FitConfig,
    *,
    test: Tested | None,
    refits: Refits,
    calibration: Calibration | None,
) -> Evaluation:
    """Estimate how good the chosen trial is, as ``config.estimate`` asks.

    Besides the number to report there is always ``cv``, the search's own folds, and where
    there are groups ``image_level``: what folds that ignore them would have said.
    """
    notes: list[str] = []
    oof = held_out(search, [chosen] * search.folds.n_folds, "oof")
    free = explorer.free
    estimates = {"cv": describe_held([oof], "cv", CV_UNCHOSEN if free else CV_CHOSEN, config)}
    held = [oof]
    judged: list[Held] = []
    method = "nested"
    description = None
    if test is not None:
        method = test.method
        tested = _tested(test, chosen, refits, calibration)
        if search.rule is not None:
            decision = search.rule.fit(oof.part.y, oof.probabilities)
            tested = replace(tested, decided=decision.decide(tested.probabilities))
        judged = [tested]
    elif config.estimate == "repeated":
        method = "repeated"
        description = REPEATED_UNCHOSEN if free else None
        judged = _repeated(search, explorer, chosen, config)
    elif config.estimate in {"auto", "nested"} and not free:
        judged = _nested_or_note(search, explorer, chosen, config, notes)
    if judged:
        held += judged
        description = description or DESCRIPTIONS[method]
        estimates[method] = describe_held(judged, method, description, config)
    if search.part.groups is not None and not search.part.grouped:
        notes.append(
            "Every group holds one distinct image: keeping groups together changes nothing."
        )
    elif search.part.grouped:
        level = _image_level(search, chosen)
        estimates["image_level"] = describe_held([level], "image_level", IMAGE_LEVEL, config)
        notes.append(_group_note(estimates, method if judged else "cv", config.scoring, free=free))
    return Evaluation(estimates.pop(method if judged else "cv"), estimates, held, notes)


def _tested(test: Tested, chosen: Trial, refits: Refits, calibration: Calibration | None) -> Held:
    """What the returned classifier says of images that it was not fitted on."""
    outputs = pipeline_outputs(refits(chosen), test.part.embeddings(chosen.setup.backbone))
    fold = np.full(len(test.part), -1)
    return Held(test.method, test.part, fold, outputs.probabilities(calibration))


def _nested_or_note(
    search: FoldSearch, explorer: Explorer, chosen: Trial, config: FitConfig, notes: list[str]
) -> list[Held]:
    """Nested predictions; nothing but a note where ``auto`` finds them impossible."""
    try:
        return [_nested(search, explorer, chosen, config.select, config.seed, split="nested")]
    except FitError as error:
        if config.estimate == "nested":
            raise
        notes.append(
            "The estimate is the search's own cross-validation, which is too high on average "
            f"because candidates were chosen on it: {error.message}"
        )
        return []


def _nested(
    search: FoldSearch, explorer: Explorer, chosen: Trial, select: str, seed: int, *, split: str
) -> Held:
    """Every image predicted by what a search on the other folds chose; all there is, if one."""
    folds = nested_folds(search.part, search.folds, seed=seed)
    outer = search
    if folds is not search.folds:
        outer = replace_folds(search, search.part, folds)
    if explorer.free:
        outer.run([chosen], outer.single, keep=True, label="Folds")
        return held_out(outer, [chosen] * folds.n_folds, split)
    return held_out(outer, explorer.nested(outer, select), split)


def _repeated(
    search: FoldSearch, explorer: Explorer, chosen: Trial, config: FitConfig
) -> list[Held]:
    """Nested predictions on partitions of consecutive seeds, the first that of the search."""
    held = []
    part = search.part
    for repeat in range(config.repeats):
        again, seed = search, (config.seed + repeat) % 2**32
        if repeat:
            folds = make_folds(part.y, part.components, part.classes, n_folds=config.cv, seed=seed)
            again = replace_folds(search, part, folds)
        held.append(
            _nested(again, explorer, chosen, config.select, seed, split=f"repeated-{repeat + 1}")
        )
    return held


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


WHERE = {
    "test": "the test split",
    "holdout": "the share held out",
    "nested": "nested cross-validation",
    "repeated": "repeated cross-validation",
}


def _group_note(estimates: Mapping[str, Estimate], method: str, scoring: str, *, free: bool) -> str:
    """What groups change, by the same folds of the search with and without them, and which number
    to report: the one that played no part in the choice, where there is one."""
    metric = scoring.removeprefix("neg_")
    values = {name: e.metrics[metric].value for name, e in estimates.items()}
    shown = {name: "undefined" if v is None else f"{v:.4f}" for name, v in values.items()}
    name = metric_name(metric)
    both = f"{shown['cv']} with groups kept together and {shown['image_level']} with groups ignored"
    if method == "cv":
        found = (
            f"The chosen candidate's cross-validated {name} is {both}: only the first is of new "
            "groups"
        )
        if free:
            return f"{found}."
        return (
            f"{found}, and it is too high on average, because candidates were chosen on the same "
            "folds."
        )
    new = "" if method == "test" else " for new groups"  # a given test split may share some
    return (
        f"The {name} to report{new} is {shown[method]} ({WHERE[method]}). On the search's own "
        f"folds the chosen candidate has {both}; these two show what groups change"
        + ("." if free else ", and are too high on average, because candidates were chosen there.")
    )


def describe_held(
    held: Sequence[Held], method: str, description: str, config: FitConfig
) -> Estimate:
    """One estimate: how it was made, for whom it holds, and every metric.

    Several predictions of the same images are pooled, and an image's are drawn together.
    """
    part = held[0].part
    repeats = len(held)
    y, units = np.tile(part.y, repeats), np.tile(part.components, repeats)
    numbers = describe_predictions(
        y,
        np.concatenate([h.probabilities for h in held]),
        part.classes,
        units,
        unit=part.unit,
        seed=config.seed,
        repeats=repeats,
        predicted=np.concatenate([h.predicted for h in held]),
        n_folds=held[0].n_folds,
    )
    document = {
        "method": method,
        "description": description,
        "n_groups": None if part.groups is None else len(np.unique(part.groups)),
        **numbers,
    }
    if part.grouped:
        document["by_group"] = _by_group(held, config)
    if repeats > 1:
        right = [float((h.predicted == part.y).mean()) for h in held]
        document["repeats"] = {"n": repeats, "accuracy": right}
    return Estimate.model_validate(document)


def _by_group(held: Sequence[Held], config: FitConfig) -> dict[str, Any] | None:
    """The same metrics on groups: mean probabilities of each; None where no two have a class."""
    part = held[0].part
    assert part.groups is not None
    each = [group_predictions(part.y, h.probabilities, part.groups, part.components) for h in held]
    y, _, units, left_out = each[0]
    if len(y) < 2:
        return None
    numbers = describe_predictions(
        np.tile(y, len(each)),
        np.concatenate([probabilities for _, probabilities, _, _ in each]),
        part.classes,
        np.tile(units, len(each)),
        unit="groups",
        seed=config.seed,
        repeats=len(each),
        n_folds=held[0].n_folds,
    )
    numbers["n_predicted_groups"] = numbers.pop("n_images")
    return {"groups_of_several_classes": left_out, **numbers}
