"""From embeddings to a searched, honestly evaluated and refitted classifier."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from featx.config import FitConfig
from featx.console import counted
from featx.data.splits import Folds, make_folds
from featx.errors import FitError
from featx.fitting.calibrate import search_calibration
from featx.fitting.candidates import Ensemble, Setup, Trial, plan_setups
from featx.fitting.checking import check_config
from featx.fitting.choice import (
    best_trials,
    choose,
    sampler_notes,
    selection_notes,
    view_notes,
)
from featx.fitting.comparing import Comparison, compare_on_folds, compare_on_images
from featx.fitting.curve import learning_curve
from featx.fitting.data import FitData, Part, hold_out_part, split_data
from featx.fitting.edges import edge_notes
from featx.fitting.ensemble import plan_ensembles
from featx.fitting.estimate import Evaluation, Tested, evaluate, n_nested_searches
from featx.fitting.exploring import Explorer
from featx.fitting.foreseen import missing_test_split
from featx.fitting.journal import Journal
from featx.fitting.near_copies import near_copies_of
from featx.fitting.plan import make_plan
from featx.fitting.refit import Refits
from featx.fitting.result import FitResult, Predictions, tabulate
from featx.fitting.rules import read_rule
from featx.fitting.search import FoldSearch
from featx.fitting.spread import spread_search
from featx.fitting.training import (
    RefusedError,
    one_blas_thread,
    pipeline_outputs,
)
from featx.fitting.trust import fit_trust
from featx.interrupts import promptly
from featx.machine import cpu_cores
from featx.samplers import SAMPLERS

__all__ = ["fit_heads"]


def fit_heads(data: FitData, config: FitConfig, *, journal: Path | None = None) -> FitResult:
    """Search heads, samplers and their parameters by cross-validation, and say how good it is.

    Parameters
    ----------
    data : FitData
        Embeddings of labelled images by backbone.
    config : FitConfig
        What to try and how to evaluate it; ``name``, ``runs``, ``resume`` and ``overwrite`` are
        not used.
    journal : Path, optional
        Folder to keep scores in as they are found; what is known there is not fitted again.

    Returns
    -------
    FitResult
        The same for the same data and config, whatever ``jobs`` and ``cluster`` are, except for
        times.

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
    part, test, notes = _separate(data, config)
    folds = make_folds(part.y, part.components, part.classes, n_folds=config.cv, seed=config.seed)
    notes += folds.notes
    with promptly(), spread_search(config) as elsewhere, _warnings_as_notes(notes):
        jobs = config.jobs or cpu_cores()
        rule = read_rule(config, part.classes)
        search = FoldSearch(
            part,
            folds,
            config.scoring,
            config.seed,
            jobs,
            elsewhere,
            config.calibrate,
            rule,
            None if journal is None else Journal(journal),
            config.search_device,
        )
        search.check(search.single)
        with one_blas_thread():
            result = _fit(search, test, config, notes)
    return FitResult(
        **result,
        notes=list(dict.fromkeys(notes)),
        settings=_settings(part, test, folds, config),
        elapsed_s=round(time.perf_counter() - started, 3),
    )


def _separate(data: FitData, config: FitConfig) -> tuple[Part, Tested | None, list[str]]:
    """Images to search on, and those that judge once: the test split or a share held out."""
    reads_test = config.estimate in {"auto", "test", "holdout"}
    part, test, notes = split_data(data, use_test=reads_test)
    if test is not None:
        return part, Tested("test", test), notes
    if config.estimate == "test":
        raise missing_test_split("nested")
    if config.estimate == "holdout":
        part, held, more = hold_out_part(part, share=config.holdout, seed=config.seed)
        return part, Tested("holdout", held), notes + more
    return part, None, notes


def _fit(
    search: FoldSearch, test: Tested | None, config: FitConfig, notes: list[str]
) -> dict[str, Any]:
    """Search, choose, refit and evaluate; sentences are added to ``notes``."""
    part = search.part
    setups, setup_notes = plan_setups(list(part.X), config, n_views=part.n_views)
    n_nested = 0 if test is not None else n_nested_searches(config)
    explorer = Explorer(
        config.search,
        make_plan(setups, config),
        together=partial(plan_ensembles, config=config, order=list(part.X)),
        budget=config.budget,
        n_nested=n_nested,
    )
    notes += setup_notes + _adaptation_notes(search, config)
    trials, best, chosen = _choose(search, explorer, config, notes)
    setups = [*setups, *(t.setup for t in trials if isinstance(t, Ensemble))]

    search.run([chosen], search.single, keep=True, label="Chosen")
    calibration = search_calibration(search, chosen, range(search.folds.n_folds))
    refits = Refits(search)
    with refits.begun(chosen):
        comparisons = {
            "against_chosen": compare_on_folds(search, best, chosen.setup),
            "against_chosen_tested": _compare_tested(search, best, chosen, test, refits),
        }
        candidates = tabulate(search, setups, trials, best, comparisons)
        evaluation: Evaluation = evaluate(
            search, explorer, chosen, config, test=test, refits=refits, calibration=calibration
        )
        trust = fit_trust(search, chosen, evaluation.held, refits, calibration, config)
    near = near_copies_of(part, evaluation.held[-1], chosen.setup.backbone, seed=search.seed)
    notes += (
        near.notes() + evaluation.notes + explorer.notes() + selection_notes(search, trials, chosen)
    )
    notes += [n for c in comparisons.values() if c for n in c.notes()]
    notes += sampler_notes(search, best, chosen.setup) + view_notes(search, best, chosen.setup)
    return {
        "classes": part.classes,
        "candidates": candidates,
        "chosen": candidates[setups.index(chosen.setup)],
        "comparison": {
            where: None if comparison is None else comparison.document()
            for where, comparison in zip(("folds", "tested"), comparisons.values(), strict=True)
        },
        "search": {
            **explorer.document(),
            "resumed_fits": search.journal.recalled if search.journal else 0,
        },
        "estimate": evaluation.estimate,
        "estimates": evaluation.others,
        "near_copies": near,
        "learning_curve": learning_curve(search, chosen, free=explorer.free)
        if config.learning_curve
        else None,
        "predictions": Predictions(part.classes, evaluation.held),
        "pipeline": refits(chosen),
        "trust": trust,
    }


def _choose(
    search: FoldSearch, explorer: Explorer, config: FitConfig, notes: list[str]
) -> tuple[list[Trial], dict[Setup, Trial], Trial]:
    """All trials, the best of each setup, and the one of them that is returned."""
    searched = explorer.search(search)
    best = best_trials(search, searched, config.select)
    if not best:
        raise FitError(f"Nothing could be fitted. {next(iter(search.refused.values()))}")
    ensembles = explorer.combine(search, best)
    if config.ensemble and len(best) < 2:
        notes.append(f"No ensemble of {next(iter(best))} alone: name more heads or backbones.")
    best |= {e.setup: e for e in ensembles if e.setup not in search.refused}
    trials = [*searched, *ensembles]
    usable = [t for t in trials if t.setup in best]
    chosen = choose(usable, search.fold_scores, config.select)
    best[chosen.setup] = chosen
    if config.search == "grid" and not isinstance(chosen, Ensemble):
        of_chosen = [t for t in usable if t.setup == chosen.setup]
        notes += edge_notes(of_chosen, explorer.plan.grid(chosen.setup), search.mean_score)
    return trials, best, chosen


def _compare_tested(
    search: FoldSearch,
    best: dict[Setup, Trial],
    chosen: Trial,
    test: Tested | None,
    refits: Refits,
) -> Comparison | None:
    """All candidates on the images that judge once, each fitted like the one that is returned.

    Nothing is chosen by it. Margins are compared at temperature 1, as in the search.
    """
    if test is None or len(best) < 2:
        return None
    said = {}
    for setup, trial in best.items():
        with suppress(RefusedError):
            outputs = pipeline_outputs(refits(trial), test.part.embeddings(setup.backbone))
            said[setup] = outputs.probabilities()
    return compare_on_images(
        test.part, said, chosen.setup, scoring=search.scoring, seed=search.seed
    )


def _adaptation_notes(search: FoldSearch, config: FitConfig) -> list[str]:
    """How samplers adapt to the smallest training part of each class, and PCA to that of all."""
    tables = [np.bincount(search.part.y[search.training(held)]) for held in search.single]
    width = len(search.part.classes)
    table = np.stack([np.pad(t, (0, width - len(t))) for t in tables])
    smallest = {c: int(n) for c, n in enumerate(table.min(axis=0)) if n > 0}
    notes = []
    for name in dict.fromkeys(config.sampler):
        said = SAMPLERS.get(name).describe(smallest)
        if said:
            notes.append(f"{name} {said}.")
    n = min(int(search.training(held).sum()) for held in search.single)
    for backbone, X in search.part.X.items():
        most = min(n, X.shape[1])
        notes += [
            f"PCA to {counted(pca, 'component')} keeps all there are of {backbone}, {most} in the "
            "smallest "
            "training part."
            for pca in dict.fromkeys(config.pca)
            if isinstance(pca, int) and pca >= most
        ]
    return notes


def _settings(part: Part, test: Tested | None, folds: Folds, config: FitConfig) -> dict[str, Any]:
    """What was searched, as JSON."""
    counts = np.bincount(part.y, minlength=len(part.classes))
    return {
        "scoring": config.scoring,
        "select": config.select,
        "seed": config.seed,
        "n_folds": folds.n_folds,
        "n_images": len(part),
        "n_views": part.n_views,
        "n_test_images": 0 if test is None else len(test.part),
        "n_groups": None if part.groups is None else len(np.unique(part.groups)),
        **_tested_groups(part, test),
        "class_counts": dict(zip(part.classes, counts.tolist(), strict=True)),
    }


def _tested_groups(part: Part, test: Tested | None) -> dict[str, int | None]:
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
    not the user's concern and are warned about afterwards; what torch says about its own kernels
    as it is imported is dropped.
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
