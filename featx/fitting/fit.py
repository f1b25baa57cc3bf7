"""From embeddings to a searched, honestly evaluated and refitted classifier."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from featx.artifact.tabular import Tabular
from featx.artifact.threshold import Threshold
from featx.config import FitConfig
from featx.console import counted
from featx.errors import FitError
from featx.fitting.candidates import EnsembleTrial, Setup, Trial, backbones_text, plan_setups
from featx.fitting.curve import learning_curve
from featx.fitting.data import FitData, Part
from featx.fitting.edges import edge_notes
from featx.fitting.ensemble import plan_ensembles
from featx.fitting.ensemble_search import run_trials
from featx.fitting.estimate import Evaluation, evaluate, n_nested_searches
from featx.fitting.executors import SearchSettings, open_executor
from featx.fitting.exploring import Explorer
from featx.fitting.foreseen import check_config
from featx.fitting.held import EvaluationSet, pool
from featx.fitting.journal import Journal
from featx.fitting.near_copies import near_copies_of, near_copy_notes
from featx.fitting.partition import Partition
from featx.fitting.plan import make_plan
from featx.fitting.refit import Refits
from featx.fitting.result import FitResult, tabulate
from featx.fitting.rules import read_rule
from featx.fitting.search import FoldSearch
from featx.fitting.selection import (
    CandidateComparison,
    best_of,
    choose,
    compare_on_folds,
    compare_on_images,
    sampler_notes,
    selection_notes,
    view_notes,
)
from featx.fitting.splitting import separate
from featx.fitting.tabular import column_facts, tabled_notes
from featx.fitting.tabular_gain import tabular_gain
from featx.fitting.training import RefusedError, one_blas_thread
from featx.fitting.trust import FittedTrust, fit_trust
from featx.fitting.validating import choose_on_validation
from featx.interrupts import promptly
from featx.runs.estimates import Decided
from featx.runs.operating import OperatingPoints, operating_points
from featx.runs.tabular import Tabled
from featx.samplers import SAMPLERS


def fit_heads(
    data: FitData,
    config: FitConfig,
    *,
    journal: Path | None = None,
    tabular: Tabular | None = None,
) -> FitResult:
    """Search heads, samplers and their parameters by cross-validation, and estimate the best one.

    Parameters
    ----------
    data : FitData
        Embeddings of labelled images by backbone.
    config : FitConfig
        What to try and how to evaluate it; ``name``, ``runs``, ``resume`` and ``overwrite`` are
        not used.
    journal : Path, optional
        Folder to keep scores in as they are found; what is known there is not fitted again.
    tabular : Tabular, optional
        What the columns of ``data.tabular`` hold.

    Returns
    -------
    FitResult
        Equal for equal data and config, whatever ``jobs`` and ``cluster`` are, except for times.

    Raises
    ------
    FitError
        The data allow no honest classifier: one class, too few images or groups, not finite.
    ClusterError
        ``config.cluster`` cannot be used.
    ConfigError, MissingExtraError, UnknownNameError
        See `featx.fitting.check_config`.

    Notes
    -----
    Where there is a test split or a share is held out, it is read once, by the chosen classifier
    fitted on everything else, and that classifier is returned. Without one the estimate is nested
    cross-validation and the returned classifier is refitted on all images. See ``docs/fit.md``.
    """
    started = time.perf_counter()
    check_config(config)
    part, test, notes = separate(data, config.estimate, holdout=config.holdout, seed=config.seed)
    partition = Partition.of(part, n_folds=config.cv, seed=config.seed)
    notes += partition.folds.notes
    rule = read_rule(config, part.classes)
    settings = SearchSettings(
        config.scoring, config.seed, config.calibrate, rule, config.search_device
    )
    with promptly(), open_executor(config) as executor, _warnings_as_notes(notes):
        search = FoldSearch(settings, partition, executor, Journal(journal) if journal else None)
        partition.check(partition.single)
        with one_blas_thread():
            config = choose_on_validation(search, data, test, config, notes)
            selection = _select(search, test, config, notes)
            result = _evaluated(search, selection, test, config, notes, tabular)
    elapsed_s = round(time.perf_counter() - started, 3)
    return replace(result, notes=list(dict.fromkeys(notes)), elapsed_s=elapsed_s)


@dataclass(frozen=True)
class _Selection:
    """What a search tried and chose."""

    explorer: Explorer
    setups: list[Setup]  # every row of the results table
    trials: list[Trial]  # everything that was scored on all images
    best: dict[Setup, Trial]  # the trial chosen for each setup that could be fitted
    chosen: Trial  # the one of them that is returned


def _select(
    search: FoldSearch, test: EvaluationSet | None, config: FitConfig, notes: list[str]
) -> _Selection:
    """Score what ``config`` asks for and choose; sentences are added to ``notes``."""
    columns = search.part.tabular
    setups, setup_notes = plan_setups(
        search.part.competing,
        config,
        n_views=search.part.n_views,
        tabular=() if columns is None else columns.names,
    )
    explorer = Explorer(
        config.search,
        make_plan(setups, config),
        together=partial(plan_ensembles, config=config, order=list(search.part.X)),
        budget=config.budget,
        n_nested=0 if test is not None else n_nested_searches(config),
    )
    notes += setup_notes + _adaptation_notes(search, config)
    searched, refused = explorer.search(search), search.found.refused
    usable = [t for t in searched if t.setup not in refused]
    best = best_of(usable, search.fold_scores, config.select)
    if not best:
        raise FitError(f"Nothing could be fitted. {next(iter(refused.values()))}")
    ensembles = explorer.combine(search, best)
    if config.ensemble and len(best) < 2:
        notes.append(
            f"An ensemble needs more than one candidate, and {next(iter(best))} is the only one: "
            "name more heads or backbones."
        )
    best |= {e.setup: e for e in ensembles if e.setup not in refused}
    trials = [*searched, *ensembles]
    usable = [t for t in trials if t.setup in best]
    chosen = choose(usable, search.fold_scores, config.select)
    best[chosen.setup] = chosen
    if config.search == "grid" and not isinstance(chosen, EnsembleTrial):
        of_chosen = [t for t in usable if t.setup == chosen.setup]
        notes += edge_notes(of_chosen, explorer.plan.grid(chosen.setup), search.mean_score)
    return _Selection(explorer, [*setups, *(e.setup for e in ensembles)], trials, best, chosen)


def _evaluated(
    search: FoldSearch,
    selection: _Selection,
    test: EvaluationSet | None,
    config: FitConfig,
    notes: list[str],
    tabular: Tabular | None,
) -> FitResult:
    """Refit, evaluate and describe what was chosen; sentences are added to ``notes``."""
    explorer, best, chosen = selection.explorer, selection.best, selection.chosen
    run_trials(search, [chosen], label="Chosen")
    calibration = search.calibration(chosen, range(search.data.n_folds))
    refits = Refits(search)
    with refits.begun(chosen):
        on_folds = compare_on_folds(search, best, chosen.setup)
        on_test = _compare_on_test(search, selection, test, refits)
        candidates = tabulate(
            search, selection.setups, selection.trials, best, on_folds=on_folds, on_test=on_test
        )
        evaluation: Evaluation = evaluate(
            search, explorer, chosen, config, test=test, refits=refits, calibration=calibration
        )
        trust = fit_trust(search, chosen, evaluation.held, refits, calibration, config)
        tabled = _tabled(search, selection, test, config, refits, tabular)
    near = near_copies_of(
        search.part, evaluation.held[-1], chosen.setup.backbones, seed=config.seed
    )
    notes += near_copy_notes(near, given=search.part.given) + evaluation.notes
    notes += explorer.notes()
    notes += tabled_notes(tabled) + selection_notes(search, selection.trials, chosen)
    notes += on_folds.notes() + ([] if on_test is None else on_test.notes())
    notes += sampler_notes(search, best, chosen.setup) + view_notes(search, best, chosen.setup)
    return FitResult(
        classes=search.part.classes,
        candidates=candidates,
        chosen=candidates[selection.setups.index(chosen.setup)],
        backbones=chosen.setup.backbones,
        comparison={"folds": on_folds.document(), "tested": on_test and on_test.document()},
        search={
            **explorer.document(),
            "resumed_fits": search.journal.recalled if search.journal else 0,
        },
        estimate=evaluation.estimate,
        estimates=evaluation.others,
        near_copies=near,
        learning_curve=learning_curve(search, chosen, free=explorer.free)
        if config.learning_curve
        else None,
        held=evaluation.held,
        pipeline=refits(chosen),
        trust=trust,
        operating=_operating(search, evaluation, trust, config),
        tabular=tabled,
        settings=_settings(search.data, test, config),
    )


def _tabled(
    search: FoldSearch,
    selection: _Selection,
    test: EvaluationSet | None,
    config: FitConfig,
    refits: Refits,
    tabular: Tabular | None,
) -> Tabled | None:
    """What other columns hold and gain, where there are any."""
    if tabular is None:
        return None
    usable = [t for t in selection.trials if t.setup in selection.best]
    return Tabled(
        columns=column_facts(
            tabular, search.part, None if test is None else test.part, search.data.fold
        ),
        used=bool(selection.chosen.setup.tabular),
        gain=tabular_gain(search, selection.explorer, usable, config, test=test, refits=refits),
    )


def _operating(
    search: FoldSearch, evaluation: Evaluation, trust: FittedTrust, config: FitConfig
) -> OperatingPoints:
    """What cutoffs of each class find and cost, and the threshold in force."""
    rule = search.settings.rule
    threshold = rule if isinstance(rule, Threshold) else None
    points = operating_points(
        pool(evaluation.held[1:] or evaluation.held),
        trust.operating,
        search.part.classes,
        seed=config.seed,
        threshold=threshold,
        prevalence=config.prevalence,
        estimated_on=evaluation.estimate.method,
    )
    if threshold is None:
        return points
    in_force = Decided.model_validate(trust.document["decision"])
    return points.model_copy(update={"in_force": in_force})


def _compare_on_test(
    search: FoldSearch, selection: _Selection, test: EvaluationSet | None, refits: Refits
) -> CandidateComparison | None:
    """All candidates on the test images, each fitted like the one that is returned.

    It plays no part in the selection. Margins are compared at temperature 1, as in the search.
    """
    if test is None or len(selection.best) < 2:
        return None
    proba = {}
    for setup, trial in selection.best.items():
        with suppress(RefusedError):
            proba[setup] = refits.outputs(trial, test.part).probabilities()
    scoring, seed = search.settings.scoring, search.settings.seed
    return compare_on_images(test.part, proba, selection.chosen.setup, scoring=scoring, seed=seed)


def _adaptation_notes(search: FoldSearch, config: FitConfig) -> list[str]:
    """How samplers adapt to the smallest training part of each class, and PCA to that of all."""
    data = search.data
    n_classes = len(data.part.classes)
    tables = [
        np.bincount(data.part.y[data.training(left_out)], minlength=n_classes)
        for left_out in data.single
    ]
    smallest = {c: int(n) for c, n in enumerate(np.min(tables, axis=0)) if n > 0}
    notes = []
    for name in dict.fromkeys(config.sampler):
        adaptation = SAMPLERS.get(name).describe(smallest)
        if adaptation:
            notes.append(f"{name} {adaptation}.")
    n = min(int(data.training(left_out).sum()) for left_out in data.single)
    for backbones in data.part.competing:
        most = min(n, sum(data.part.widths(backbones)))
        notes += [
            f"PCA to {counted(pca, 'component')} keeps all there are of "
            f"{backbones_text(backbones)}, {most} in the smallest training part."
            for pca in dict.fromkeys(config.pca)
            if isinstance(pca, int) and pca >= most
        ]
    return notes


def _settings(data: Partition, test: EvaluationSet | None, config: FitConfig) -> dict[str, Any]:
    """What was searched, as JSON."""
    part = data.part
    return {
        "protocol": config.protocol,
        "scoring": config.scoring,
        "select": config.select,
        "seed": config.seed,
        "n_folds": data.n_folds,
        "n_images": len(part),
        "n_views": part.n_views,
        "n_test_images": 0 if test is None else len(test.part),
        "n_groups": part.n_groups,
        **_tested_groups(part, test),
        "class_counts": part.class_counts,
    }


def _tested_groups(part: Part, test: EvaluationSet | None) -> dict[str, int | None]:
    """Groups of all images, and those that are tested as well as trained on."""
    if part.groups is None or (test is not None and test.part.groups is None):
        return {"n_groups_in_all": None, "n_groups_also_tested": None}
    tested = part.groups[:0] if test is None or test.part.groups is None else test.part.groups
    return {
        "n_groups_in_all": len(np.union1d(part.groups, tested)),
        "n_groups_also_tested": len(np.intersect1d(part.groups, tested)),
    }


@contextmanager
def _warnings_as_notes(notes: list[str]) -> Iterator[None]:
    """Turn what libraries warn about during the search into notes, each once.

    Warning filters belong to the process, not to a thread, so they are set here, outside the
    threads. Heads that did not converge are counted from the heads themselves. Deprecations are
    not the user's concern and are warned about afterwards; warnings of torch about its own kernels
    as it is imported are dropped.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    later = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
    for warning in caught:
        if issubclass(warning.category, later):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    kept = {
        str(w.message).strip()
        for w in caught
        if not issubclass(w.category, (ConvergenceWarning, *later))
        and "torch" not in Path(w.filename).parts
    }
    notes += [f"Warned while fitting: {message}" for message in sorted(kept)]
