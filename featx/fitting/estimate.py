"""How good the chosen classifier is, from images that played no part in the selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from featx.artifact.calibration import Calibration
from featx.config import FitConfig
from featx.console import counted
from featx.data.splits import Folds
from featx.errors import FitError
from featx.fitting.candidates import Trial
from featx.fitting.ensemble_search import run_trials
from featx.fitting.exploring import Explorer
from featx.fitting.foreseen import check_sites
from featx.fitting.groups import (
    GroupRule,
    describe_groups,
    fit_group_answers,
    group_note,
    group_notes,
)
from featx.fitting.held import EvaluationSet, HeldOut, pool
from featx.fitting.partition import Partition
from featx.fitting.refit import Refits
from featx.fitting.rules import decide_by_fold
from featx.fitting.search import FoldSearch
from featx.runs.estimates import Estimate
from featx.runs.predictions import text_column
from featx.stats.intervals import describe_predictions
from featx.types import SITES, IntArray

MIN_NESTED_FOLDS, MAX_NESTED_FOLDS = 3, 5
MANY_SITES = 30  # fits of the chosen settings that take their time

DESCRIPTIONS = {
    "test": "the test split, read once by the classifier fitted on all other images",
    "holdout": "a share held out, read once by the classifier fitted on all other images",
    "nested": (
        "nested cross-validation: each fold predicted by the model that a search on the other "
        "folds selected"
    ),
    SITES: "every group predicted by a model fitted on the other groups, with the settings that a "
    "search without it selected",
    "repeated": "nested cross-validation on several partitions, each image predicted once in each",
}
REPEATED_UNCHOSEN = (
    "cross-validation on several partitions, each image predicted once in each; with a single "
    "candidate, no selection took place"
)
CV_CHOSEN = (
    "the search's own folds, pooled; the best of several candidates was selected on them, so the "
    "number is too high on average"
)
RACED = "; images that the race drew to choose the embedding are trained on and not evaluated on"
CV_UNCHOSEN = "cross-validation; with a single candidate, no selection took place"
IMAGE_LEVEL = (
    "cross-validation of the chosen candidate with groups ignored, for comparison: not an estimate "
    "for new groups"
)


def held_out(search: FoldSearch, trials: Sequence[Trial], split: str) -> HeldOut:
    """Out-of-fold predictions, fold ``i`` by ``trials[i]``.

    The calibration of a fold comes from the other folds' outputs, so that no image takes part in
    the calibration that it is evaluated by.
    """
    data = search.data
    proba = np.zeros((len(data.part), len(data.part.classes)))
    for fold, trial in enumerate(trials):
        calibration = search.calibration(trial, [f for f in range(data.n_folds) if f != fold])
        proba[data.fold == fold] = search.outputs(trial, fold).probabilities(calibration)
    decided = decide_by_fold(search.settings.rule, data.part.y, proba, data.fold)
    return HeldOut(split, data.part, data.fold, proba, decided)


def n_nested_searches(config: FitConfig) -> int:
    """How many nested searches an estimate without test images makes."""
    if config.estimate == "repeated":
        return config.repeats
    return int(config.estimate in {"auto", "nested", SITES})


def _outer(search: FoldSearch, seed: int) -> FoldSearch:
    """The search on the outer folds: its own where there are 3 to 5 of them.

    Raises
    ------
    FitError
        Fewer than three folds can be made: the inner search would have nothing to train on.
    """
    data = search.data
    wanted = min(max(data.n_folds, MIN_NESTED_FOLDS), MAX_NESTED_FOLDS)
    if wanted != data.n_folds:
        data = Partition.of(data.part, n_folds=wanted, seed=seed)
    if data.n_folds < MIN_NESTED_FOLDS:
        raise FitError(
            f"Nested cross-validation needs {MIN_NESTED_FOLDS} folds; these images and groups "
            f"allow {data.n_folds}.",
            hint="Use --estimate cv, which is too high on average, or give a test split.",
        )
    return search if data is search.data else search.on(data)


@dataclass(frozen=True)
class Evaluation:
    """The estimate, others for comparison, and the predictions behind them."""

    estimate: Estimate
    others: dict[str, Estimate]
    held: list[HeldOut]
    notes: list[str]


def evaluate(
    search: FoldSearch,
    explorer: Explorer,
    chosen: Trial,
    config: FitConfig,
    *,
    test: EvaluationSet | None,
    refits: Refits,
    calibration: Calibration | None,
) -> Evaluation:
    """Estimate how good the chosen trial is, as ``config.estimate`` asks.

    Besides the number to report there is always ``cv``, the search's own folds, and where
    there are groups ``image_level``: the estimate of folds that ignore them.
    """
    notes: list[str] = []
    free, raced = explorer.free, search.part.apart is not None
    out_of_fold = held_out(search, [chosen] * search.data.n_folds, "oof")
    if test is not None:
        evaluated = [_tested(search, test, chosen, out_of_fold, refits, calibration)]
        method = test.method
    elif config.estimate == "repeated":
        evaluated, method = _repeated(search, explorer, chosen, config), "repeated"
    elif config.estimate == SITES:
        left_out = _leave_out_sites(search, notes)
        choices = _site_choices(search, left_out, explorer, chosen, config)
        run_trials(left_out, list(dict.fromkeys(choices)), label="Sites")
        evaluated, method = [held_out(left_out, choices, SITES)], SITES
    elif config.estimate in {"auto", "nested"} and (raced or not free):
        evaluated, method = _nested_or_note(search, explorer, chosen, config, notes), "nested"
    else:
        evaluated, method = [], "cv"
    if test is None:
        evaluated = [held.unseen() for held in evaluated]
    cv = CV_UNCHOSEN if free and not raced and not config.protocol else CV_CHOSEN
    groups = _group_rule(search, out_of_fold, config)
    estimates = {"cv": describe_held([out_of_fold], "cv", cv, config, groups)}
    if evaluated:
        unchosen = free and method == "repeated"
        description = REPEATED_UNCHOSEN if unchosen else DESCRIPTIONS[method]
        description += RACED if raced and test is None else ""
        estimates[method] = describe_held(evaluated, method, description, config, groups)
    else:
        method = "cv"
    if search.part.groups is not None and not search.part.grouped:
        notes.append(
            "Every group holds one distinct image: keeping groups together changes nothing."
        )
    elif search.part.grouped:
        level = _image_level(search, chosen)
        estimates["image_level"] = describe_held([level], "image_level", IMAGE_LEVEL, config)
        notes.append(group_note(estimates, method, config.scoring, free=free))
        notes += group_notes(out_of_fold, config)
    return Evaluation(estimates.pop(method), estimates, [out_of_fold, *evaluated], notes)


def _group_rule(search: FoldSearch, out_of_fold: HeldOut, config: FitConfig) -> GroupRule:
    """How groups are answered: those of a test split by what is fitted out of fold."""
    rule = search.settings.rule
    decide = None if rule is None else rule.fit(out_of_fold.part.y, out_of_fold.proba).decide
    return GroupRule(config, rule, fit_group_answers(out_of_fold, config), decide)


def _tested(
    search: FoldSearch,
    test: EvaluationSet,
    chosen: Trial,
    out_of_fold: HeldOut,
    refits: Refits,
    calibration: Calibration | None,
) -> HeldOut:
    """Predictions of the returned classifier for images that it was not fitted on."""
    proba, decided = refits.outputs(chosen, test.part).probabilities(calibration), None
    if (rule := search.settings.rule) is not None:
        decided = rule.fit(out_of_fold.part.y, out_of_fold.proba).decide(proba)
    return test.held(proba, decided)


def _nested_or_note(
    search: FoldSearch, explorer: Explorer, chosen: Trial, config: FitConfig, notes: list[str]
) -> list[HeldOut]:
    """Nested predictions; nothing but a note where ``auto`` finds them impossible."""
    try:
        return [_nested(search, explorer, chosen, config.select, config.seed, split="nested")]
    except FitError as error:
        if config.estimate == "nested":
            raise
        notes.append(
            "The estimate is the search's own cross-validation, which is too high on average "
            f"because candidates were selected on it: {error.message}"
        )
        return []


def _nested(
    search: FoldSearch, explorer: Explorer, chosen: Trial, select: str, seed: int, *, split: str
) -> HeldOut:
    """Every image predicted by what a search on the other folds chose; all there is, if one."""
    outer = _outer(search, seed)
    if explorer.free:
        run_trials(outer, [chosen], label="Folds")
        return held_out(outer, [chosen] * outer.data.n_folds, split)
    return held_out(outer, explorer.nested(outer, select), split)


def _leave_out_sites(search: FoldSearch, notes: list[str]) -> FoldSearch:
    """The search on a partition whose folds are the groups; sentences are added to ``notes``.

    An exact copy of an image in another group is tested with the first of its kind, so that no
    image is trained on while its copy is tested; nor does that let a group through, since the
    model that predicts it would train on the same content anyway.

    Raises
    ------
    FitError
        Fewer than three groups, or training images of one class while one is left out.
    """
    part = search.part
    names = part.columns.get("group")
    check_sites(None if names is None else names.tolist())
    assert names is not None
    site = np.unique(names.astype(str), return_inverse=True)[1]
    fold = _with_first_copy(site, part.alone)
    kept, fold = np.unique(fold, return_inverse=True)
    moved = int((kept[fold] != site).sum())
    if moved:
        notes.append(
            f"{counted(moved, 'image', 'is an exact copy/are exact copies')} of an image in "
            "another group, and evaluated with that group."
        )
    if len(kept) > MANY_SITES:
        notes.append(
            f"The chosen settings were fitted once for each of {len(kept):,} groups; "
            "--estimate nested is faster."
        )
    tested_with = text_column(np.unique(names.astype(str))[kept][fold].tolist())
    part = replace(part, columns={**part.columns, "group": tested_with})
    partition = Partition(part, Folds(fold.astype(np.int64), len(kept)))
    partition.check(partition.single)
    return search.on(partition)


def _with_first_copy(site: IntArray, alone: IntArray) -> IntArray:
    """The site of the first image of each set of exact copies."""
    _, first, code = np.unique(alone, return_index=True, return_inverse=True)
    return np.asarray(site[first][code], dtype=np.int64)


def _site_choices(
    search: FoldSearch, left_out: FoldSearch, explorer: Explorer, chosen: Trial, config: FitConfig
) -> list[Trial]:
    """The trial that predicts each site, chosen by a search that saw no image of it.

    Sites share a few outer folds for the choice, so that it costs what nested cross-validation
    does however many sites there are; only the chosen trials are fitted for every site.
    """
    if explorer.free:
        return [chosen] * left_out.data.n_folds
    outer = _outer(search, config.seed)
    chosen_by_fold = explorer.nested(outer, config.select)
    first = np.unique(left_out.data.fold, return_index=True)[1]
    return [chosen_by_fold[fold] for fold in outer.data.fold[first]]


def _repeated(
    search: FoldSearch, explorer: Explorer, chosen: Trial, config: FitConfig
) -> list[HeldOut]:
    """Nested predictions on partitions of consecutive seeds, the first that of the search."""
    held = []
    for repeat in range(config.repeats):
        again, seed = search, (config.seed + repeat) % 2**32
        if repeat:
            again = search.on(Partition.of(search.part, n_folds=config.cv, seed=seed))
        held.append(
            _nested(again, explorer, chosen, config.select, seed, split=f"repeated-{repeat + 1}")
        )
    return held


def _image_level(search: FoldSearch, chosen: Trial) -> HeldOut:
    """Out-of-fold predictions of ``chosen`` on folds that ignore groups."""
    data, seed = search.data, search.settings.seed
    ungrouped = replace(data.part, groups=None)
    level = search.on(Partition.of(ungrouped, n_folds=data.n_folds, seed=seed))
    run_trials(level, [chosen], label="Folds without groups")
    return held_out(level, [chosen] * level.data.n_folds, "image_level")


def describe_held(
    held: Sequence[HeldOut],
    method: str,
    description: str,
    config: FitConfig,
    groups: GroupRule | None = None,
) -> Estimate:
    """One estimate: how it was made, for whom it holds, and every metric.

    Several predictions of the same images are pooled, and an image's are drawn together. ``groups``
    says how groups are answered; by default as ``config`` asks, without any rule of decisions.
    """
    part, repeats, pooled = held[0].part, len(held), pool(held)
    numbers = describe_predictions(
        pooled.y,
        pooled.proba,
        part.classes,
        pooled.units,
        unit=part.unit,
        seed=config.seed,
        repeats=repeats,
        y_pred=pooled.y_pred,
        n_folds=pooled.n_folds,
    )
    document = {
        "method": method,
        "description": description,
        "n_groups": part.n_groups,
        **numbers,
    }
    if part.grouped:
        how = groups or GroupRule(config)
        document["by_group"] = describe_groups(held, how)
    if repeats > 1:
        right = [float((h.y_pred == part.y).mean()) for h in held]
        document["repeats"] = {"n": repeats, "accuracy": right}
    return Estimate.model_validate(document)
