"""Choosing among scored trials, and what is noteworthy about the selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any

import numpy as np

from featx import console
from featx.console import counted
from featx.fitting.candidates import EnsembleTrial, Setup, Trial
from featx.fitting.data import Part
from featx.fitting.edges import TIE
from featx.fitting.search import FoldSearch, defined_mean
from featx.stats.comparison import PairedTest, corrected_paired_test, holm, paired_bootstrap
from featx.stats.intervals import resampled_scores
from featx.stats.metrics import fold_score
from featx.types import FloatArray

Scores = Callable[[Trial], FloatArray]

MOST_NAMED = 6


def choose(trials: Sequence[Trial], scores: Scores, select: str) -> Trial:
    """The trial with the highest mean score, or a simpler one about as good.

    Simplest is: no ensemble, then no other columns, then no augmented views, then no sampler, then
    no class weights, then what comes first, which is the backbone and head named first and, within
    a grid, the strongest regularisation.

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
        allowed += _standard_error(scores(trials[int(means.argmax())]))
    eligible = [t for t, mean in zip(trials, means, strict=True) if mean >= means.max() - allowed]
    return min(eligible, key=_complexity)


def _complexity(trial: Trial) -> tuple[bool, ...]:
    setup, several = trial.setup, isinstance(trial, EnsembleTrial)
    treated = setup.sampler != "none", setup.class_weight != "none"
    return several, bool(setup.tabular), setup.views > 0, *treated


def _standard_error(scores: FloatArray) -> float:
    """Of the mean of fold scores; 0 with fewer than two."""
    defined = scores[~np.isnan(scores)]
    return float(defined.std(ddof=1) / np.sqrt(len(defined))) if len(defined) > 1 else 0.0


def best_of(trials: Sequence[Trial], scores: Scores, select: str) -> dict[Setup, Trial]:
    """The grid point chosen for each setup, by any scores."""
    by_setup: dict[Setup, list[Trial]] = {}
    for trial in trials:
        by_setup.setdefault(trial.setup, []).append(trial)
    return {setup: choose(of_setup, scores, select) for setup, of_setup in by_setup.items()}


def contrast(
    search: FoldSearch, best: Mapping[Setup, Trial], setup: Setup, other: Setup
) -> PairedTest | None:
    """Fold scores of one setup less those of the other; None where that cannot be tested."""
    if setup == other or setup not in best or other not in best:
        return None
    one, two = best[setup], best[other]
    differences = search.fold_scores(one) - search.fold_scores(two)
    differences = differences[~np.isnan(differences)]
    alike = len(differences) > 1 and np.ptp(differences) < TIE and abs(differences[0]) > TIE
    if len(differences) < 2 or alike:  # a few folds that differ by the same are no certainty
        return None
    return corrected_paired_test(differences, test_ratio=1 / (search.data.n_folds - 1))


def without_sampler(
    search: FoldSearch, best: Mapping[Setup, Trial], setup: Setup
) -> dict[str, PairedTest | None]:
    """A setup with a sampler against the same without, and against class weights instead."""
    plain = replace(setup, sampler="none")
    weighted = replace(plain, class_weight="balanced")
    pointless = plain in (setup, weighted)
    return {
        "against_none": contrast(search, best, setup, plain),
        "against_class_weight": None if pointless else contrast(search, best, setup, weighted),
    }


def sampler_notes(search: FoldSearch, best: Mapping[Setup, Trial], chosen: Setup) -> list[str]:
    """Whether each sampler helped the chosen head on the chosen backbone, one sentence each."""
    notes = []
    for setup in best:
        tests = without_sampler(search, best, setup)
        test, weighted = tests["against_none"], tests["against_class_weight"]
        if test is None or _before_sampler(setup) != _before_sampler(chosen):
            continue
        note = (
            f"{setup.sampler} {_verdict(test)} {replace(setup, sampler='none')}: {test.mean:+.4f} "
            f"{search.settings.scoring} against none ({_interval(test)}; corrected resampled "
            f"t-test over {search.data.n_folds} folds)"
        )
        if weighted is not None:
            note += f", {weighted.mean:+.4f} against class weights ({_interval(weighted)})"
        notes.append(note + ".")
    return notes


def view_notes(search: FoldSearch, best: Mapping[Setup, Trial], chosen: Setup) -> list[str]:
    """Whether augmented views helped the chosen row, in one sentence."""
    for setup in best:
        plain = replace(setup, views=0)
        test = contrast(search, best, setup, plain)
        if test is not None and plain == replace(chosen, views=0):
            return [
                f"{counted(setup.views, 'augmented view')} of each training image {_verdict(test)} "
                f"{plain}: {test.mean:+.4f} {search.settings.scoring} against the images alone "
                f"({_interval(test)}; corrected resampled t-test over "
                f"{search.data.n_folds} folds)."
            ]
    return []


def _before_sampler(setup: Setup) -> Setup:
    """What two rows share that differ in how they treat the balance of classes."""
    return replace(setup, sampler="none", class_weight="none")


def _interval(test: PairedTest) -> str:
    return f"95 % interval {test.low:+.4f} to {test.high:+.4f}, p = {test.p:.2g}"


def _verdict(test: PairedTest) -> str:
    """The result of the test, as a verb."""
    if test.p >= 0.05:
        return "made no clear difference to"
    return "helped" if test.mean > 0 else "hurt"


def selection_notes(search: FoldSearch, trials: Sequence[Trial], chosen: Trial) -> list[str]:
    """What one standard error let go, where it did."""
    usable = [t for t in trials if t.setup not in search.found.refused]
    best = choose(usable, search.fold_scores, "best")
    if best == chosen:
        return []
    return [
        f"{chosen.setup} with {dict(chosen.params)} is the simplest candidate within one standard "
        f"error ({_standard_error(search.fold_scores(best)):.4f}) of the best, {best.setup} with "
        f"{dict(best.params)}: mean {search.settings.scoring} {search.mean_score(chosen):.4f} "
        f"against {search.mean_score(best):.4f}."
    ]


class CandidateComparison:
    """Differences of every candidate to the chosen one.

    The chosen one was not known beforehand, so every pair of candidates counts as a comparison,
    and p-values are adjusted for all pairs (Holm 1979).

    Parameters
    ----------
    method : str
        The test, in words.
    scoring : str
    chosen : Setup
    pairs : mapping of (Setup, Setup) to PairedTest
        Every two candidates that can be compared; the first less the second.
    """

    def __init__(
        self,
        method: str,
        scoring: str,
        chosen: Setup,
        pairs: Mapping[tuple[Setup, Setup], PairedTest],
    ) -> None:
        self.method, self.scoring = method, scoring
        self.n_comparisons = len(pairs)
        adjusted = holm([test.p for test in pairs.values()])
        self._rows: dict[Setup, dict[str, float]] = {}
        for (one, other), test, p in zip(pairs, pairs.values(), adjusted, strict=True):
            row = {**asdict(test), "p_adjusted": float(p)}
            if other == chosen:
                self._rows[one] = row
            elif one == chosen:
                turned = {"mean": -test.mean, "low": -test.high, "high": -test.low}
                self._rows[other] = {**row, **turned}

    def row(self, setup: Setup) -> dict[str, float] | None:
        """``mean, low, high, p, p_adjusted`` of the setup less the chosen one."""
        return self._rows.get(setup)

    def document(self) -> dict[str, Any]:
        """How the candidates were compared, as JSON."""
        return {
            "method": self.method,
            "scoring": self.scoring,
            "adjustment": "Holm, for every pair of candidates",
            "n_comparisons": self.n_comparisons,
        }

    def notes(self) -> list[str]:
        """Which candidates are clearly worse or better than the chosen one, in one sentence."""
        if not self._rows:
            return []
        clear = [s for s, row in self._rows.items() if row["p_adjusted"] < 0.05]
        unclear = [str(s) for s in self._rows if s not in clear]
        better = sum(self._rows[s]["mean"] > 0 for s in clear)
        worse = len(clear) - better
        n = len(self._rows)
        if n == 1:
            sentence = f"The other candidate is {'' if worse else 'not '}clearly worse than"
        else:
            verb = "is" if worse == 1 else "are"
            sentence = f"{worse or 'None'} of {n} other candidates {verb} clearly worse than"
        sentence += f" the chosen one in {self.scoring}"
        if better:
            sentence += f" and {better} {'is' if better == 1 else 'are'} clearly better"
        sentence += f" ({self.method}; {counted(self.n_comparisons, 'comparison')}, Holm)"
        if unclear:
            more = f" and {len(unclear) - MOST_NAMED} more" if len(unclear) > MOST_NAMED else ""
            sentence += f"; not clearly different: {', '.join(unclear[:MOST_NAMED])}{more}"
        return [sentence + "."]


@console.stage("Comparing the candidates")
def compare_on_folds(
    search: FoldSearch, best: Mapping[Setup, Trial], chosen: Setup
) -> CandidateComparison:
    """Every two candidates, each at its chosen grid point, by their scores on the same folds."""
    tests = {
        (one, other): contrast(search, best, one, other) for one, other in combinations(best, 2)
    }
    pairs = {pair: test for pair, test in tests.items() if test is not None}
    method = f"corrected resampled t-test over {search.data.n_folds} folds"
    return CandidateComparison(method, search.settings.scoring, chosen, pairs)


@console.stage("Comparing the candidates on the test images")
def compare_on_images(
    part: Part, proba: Mapping[Setup, FloatArray], chosen: Setup, *, scoring: str, seed: int
) -> CandidateComparison | None:
    """Every two candidates by their predictions for the same images that none was fitted on.

    Parameters
    ----------
    part : Part
        The images, of at least two units; fewer give None.
    proba : mapping of Setup to ndarray of shape (n, n_classes)
    chosen : Setup
    scoring : str
    seed : int
    """
    units, n_units = part.components, part.n_units
    if n_units < 2:
        return None
    values = {s: fold_score(scoring, part.y, p) for s, p in proba.items()}
    # the same resamples for every candidate, so that differences are of the same images
    samples = {s: resampled_scores(scoring, part.y, p, units, seed=seed) for s, p in proba.items()}
    defined = [s for s, value in values.items() if not np.isnan(value)]
    pairs = {
        (one, other): paired_bootstrap(
            values[one] - values[other], samples[one] - samples[other], n_units
        )
        for one, other in combinations(defined, 2)
    }
    method = f"paired bootstrap over {n_units} {part.unit}"
    return CandidateComparison(method, scoring, chosen, pairs)
