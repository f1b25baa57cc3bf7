"""Choosing among scored trials, and what there is to say about the choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from featx.fitting.candidates import Setup, Trial
from featx.fitting.search import FoldSearch
from featx.stats.comparison import PairedTest, corrected_paired_test

__all__ = ["against_none", "best_of", "best_trials", "edge_notes", "sampler_notes"]

TIE = 1e-12


def best_of(trials: Sequence[Trial], score: Callable[[Trial], float]) -> Trial:
    """The trial with the highest score; of equals the simplest.

    Simplest is: no sampler, then no class weights, then what comes first, which is the head and
    backbone named first and, within a grid, the strongest regularisation.
    """
    scores = np.nan_to_num([score(t) for t in trials], nan=-np.inf)
    top = scores >= scores.max() - TIE
    equals = [t for t, is_top in zip(trials, top, strict=True) if is_top]
    return min(equals, key=lambda t: (t.setup.sampler != "none", t.setup.class_weight != "none"))


def best_trials(search: FoldSearch, trials: Sequence[Trial]) -> dict[Setup, Trial]:
    """The best grid point of each setup that could be fitted on every fold."""
    by_setup: dict[Setup, list[Trial]] = {}
    for trial in trials:
        if trial.setup not in search.refused:
            by_setup.setdefault(trial.setup, []).append(trial)
    return {setup: best_of(members, search.mean_score) for setup, members in by_setup.items()}


def against_none(search: FoldSearch, best: dict[Setup, Trial], setup: Setup) -> PairedTest | None:
    """The setup against the same without resampling, each at its best; None if there is none."""
    plain = replace(setup, sampler="none")
    if setup == plain or setup not in best or plain not in best:
        return None
    differences = search.fold_scores(best[setup]) - search.fold_scores(best[plain])
    differences = differences[~np.isnan(differences)]
    if len(differences) < 2:
        return None
    return corrected_paired_test(differences, test_ratio=1 / (search.folds.n_folds - 1))


def sampler_notes(search: FoldSearch, best: dict[Setup, Trial], chosen: Setup) -> list[str]:
    """Whether each sampler helped the chosen head on the chosen backbone, one sentence each."""
    notes = []
    for setup in best:
        test = against_none(search, best, setup)
        if test is None or replace(setup, sampler=chosen.sampler) != chosen:
            continue
        notes.append(
            f"{setup.sampler} {verdict(test)} {replace(setup, sampler='none')}: {test.mean:+.4f} "
            f"{search.scoring} against none (95 % interval {test.low:+.4f} to {test.high:+.4f}, "
            f"p = {test.p:.2g}; corrected resampled t-test over {search.folds.n_folds} folds)."
        )
    return notes


def verdict(test: PairedTest) -> str:
    """What the test says, as a verb."""
    if test.p >= 0.05:
        return "made no clear difference to"
    return "helped" if test.mean > 0 else "hurt"


def edge_notes(chosen: Trial, trials: Sequence[Trial]) -> list[str]:
    """Whether the best value lies at the end of what was searched."""
    notes = []
    for name, value in chosen.params:
        searched = {
            v
            for t in trials
            if t.setup == chosen.setup
            for n, v in t.params
            if n == name and isinstance(v, (int, float)) and not isinstance(v, bool)
        }
        if len(searched) < 3 or value not in {min(searched), max(searched)}:
            continue
        if name == "n_neighbors" and value == 1:
            continue
        end = "smallest" if value == min(searched) else "largest"
        notes.append(
            f"The best {name} of {chosen.setup} is {value:g}, the {end} searched: a wider "
            f"param_grid.{chosen.setup.head}.{name} may do better."
        )
    return notes
