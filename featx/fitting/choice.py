"""Choosing among scored trials, and what there is to say about the choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from featx.console import counted
from featx.fitting.candidates import Ensemble, Setup, Trial
from featx.fitting.edges import TIE
from featx.fitting.search import FoldSearch, defined_mean
from featx.stats.comparison import PairedTest, corrected_paired_test

__all__ = [
    "best_of",
    "best_trials",
    "choose",
    "contrast",
    "sampler_notes",
    "selection_notes",
    "view_notes",
    "without_sampler",
    "without_views",
]

Scores = Callable[[Trial], NDArray[np.float64]]


def choose(trials: Sequence[Trial], scores: Scores, select: str) -> Trial:
    """The trial with the highest mean score, or a simpler one about as good.

    Simplest is: no ensemble, then no augmented views, then no sampler, then no class weights, then
    what comes first, which is the backbone and head named first and, within a grid, the strongest
    regularisation.

    Parameters
    ----------
    trials : sequence of Trial
    scores : callable
        Fold scores of a trial, shape (n_folds,); NaN where a fold has none.
    select : {"best", "1se"}
        The simplest of those with the highest mean, or of those within one standard error of it
        (Breiman et al., "Classification and regression trees", 1984, section 3.4.3).
    """
    means = np.nan_to_num([defined_mean(scores(t)) for t in trials], nan=-np.inf)
    allowed = TIE
    if select == "1se":
        allowed += standard_error(scores(trials[int(means.argmax())]))
    eligible = [t for t, mean in zip(trials, means, strict=True) if mean >= means.max() - allowed]
    return min(eligible, key=_complexity)


def _complexity(trial: Trial) -> tuple[bool, ...]:
    setup, several = trial.setup, isinstance(trial, Ensemble)
    return several, setup.views > 0, setup.sampler != "none", setup.class_weight != "none"


def standard_error(scores: NDArray[np.float64]) -> float:
    """Of the mean of fold scores; 0 with fewer than two."""
    defined = scores[~np.isnan(scores)]
    return float(defined.std(ddof=1) / np.sqrt(len(defined))) if len(defined) > 1 else 0.0


def best_trials(search: FoldSearch, trials: Sequence[Trial], select: str) -> dict[Setup, Trial]:
    """The grid point chosen for each setup that could be fitted on every fold."""
    usable = [t for t in trials if t.setup not in search.refused]
    return best_of(usable, search.fold_scores, select)


def best_of(trials: Sequence[Trial], scores: Scores, select: str) -> dict[Setup, Trial]:
    """The grid point chosen for each setup, by any scores."""
    by_setup: dict[Setup, list[Trial]] = {}
    for trial in trials:
        by_setup.setdefault(trial.setup, []).append(trial)
    return {setup: choose(members, scores, select) for setup, members in by_setup.items()}


def contrast(search: FoldSearch, one: Trial | None, other: Trial | None) -> PairedTest | None:
    """Fold scores of one trial less those of the other; None where that cannot be tested."""
    if one is None or other is None or one == other:
        return None
    differences = search.fold_scores(one) - search.fold_scores(other)
    differences = differences[~np.isnan(differences)]
    alike = len(differences) > 1 and np.ptp(differences) < TIE and abs(differences[0]) > TIE
    if len(differences) < 2 or alike:  # a few folds that differ by the same are no certainty
        return None
    return corrected_paired_test(differences, test_ratio=1 / (search.folds.n_folds - 1))


def without_sampler(
    search: FoldSearch, best: dict[Setup, Trial], setup: Setup
) -> dict[str, PairedTest | None]:
    """A setup with a sampler against the same without, and against class weights instead."""
    if setup.sampler == "none":
        return {"against_none": None, "against_class_weight": None}
    plain = replace(setup, sampler="none")
    weighted = replace(plain, class_weight="balanced")
    return {
        "against_none": contrast(search, best.get(setup), best.get(plain)),
        "against_class_weight": None
        if weighted == plain
        else contrast(search, best.get(setup), best.get(weighted)),
    }


def sampler_notes(search: FoldSearch, best: dict[Setup, Trial], chosen: Setup) -> list[str]:
    """Whether each sampler helped the chosen head on the chosen backbone, one sentence each."""
    notes = []
    for setup in best:
        tests = without_sampler(search, best, setup)
        test, weighted = tests["against_none"], tests["against_class_weight"]
        if test is None or _before_sampler(setup) != _before_sampler(chosen):
            continue
        note = (
            f"{setup.sampler} {verdict(test)} {replace(setup, sampler='none')}: {test.mean:+.4f} "
            f"{search.scoring} against none ({_interval(test)}; corrected resampled t-test over "
            f"{search.folds.n_folds} folds)"
        )
        if weighted is not None:
            note += f", {weighted.mean:+.4f} against class weights ({_interval(weighted)})"
        notes.append(note + ".")
    return notes


def without_views(search: FoldSearch, best: dict[Setup, Trial], setup: Setup) -> PairedTest | None:
    """A setup that trains on augmented views against the same that trains on images alone."""
    return contrast(search, best.get(setup), best.get(replace(setup, views=0)))


def view_notes(search: FoldSearch, best: dict[Setup, Trial], chosen: Setup) -> list[str]:
    """Whether augmented views helped the chosen row, in one sentence."""
    for setup in best:
        test = without_views(search, best, setup)
        plain = replace(setup, views=0)
        if test is not None and plain == replace(chosen, views=0):
            return [
                f"{counted(setup.views, 'augmented view')} of each training image {verdict(test)} "
                f"{plain}: {test.mean:+.4f} {search.scoring} against the images alone "
                f"({_interval(test)}; corrected resampled t-test over "
                f"{search.folds.n_folds} folds)."
            ]
    return []


def _before_sampler(setup: Setup) -> Setup:
    """What two rows share that differ in how they treat the balance of classes."""
    return replace(setup, sampler="none", class_weight="none")


def _interval(test: PairedTest) -> str:
    return f"95 % interval {test.low:+.4f} to {test.high:+.4f}, p = {test.p:.2g}"


def selection_notes(search: FoldSearch, trials: Sequence[Trial], chosen: Trial) -> list[str]:
    """What one standard error let go, where it did."""
    usable = [t for t in trials if t.setup not in search.refused]
    best = choose(usable, search.fold_scores, "best")
    if best == chosen:
        return []
    return [
        f"{chosen.setup} with {dict(chosen.params)} is the simplest candidate within one standard "
        f"error ({standard_error(search.fold_scores(best)):.4f}) of the best, {best.setup} with "
        f"{dict(best.params)}: mean {search.scoring} {search.mean_score(chosen):.4f} against "
        f"{search.mean_score(best):.4f}."
    ]


def verdict(test: PairedTest) -> str:
    """What the test says, as a verb."""
    if test.p >= 0.05:
        return "made no clear difference to"
    return "helped" if test.mean > 0 else "hurt"
