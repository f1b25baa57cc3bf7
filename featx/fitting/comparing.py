"""The chosen candidate against every other one, with the number of comparisons made good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.console import counted
from featx.fitting.candidates import Setup, Trial
from featx.fitting.choice import contrast
from featx.fitting.data import Part
from featx.fitting.search import FoldSearch
from featx.stats.comparison import PairedTest, holm, paired_bootstrap
from featx.stats.intervals import resampled_scores
from featx.stats.metrics import fold_score

__all__ = ["Comparison", "compare_on_folds", "compare_on_images"]

Float = NDArray[np.float64]

MOST_NAMED = 6


class Comparison:
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
        open_ = [str(s) for s in self._rows if s not in clear]
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
        if open_:
            more = f" and {len(open_) - MOST_NAMED} more" if len(open_) > MOST_NAMED else ""
            sentence += f"; not told apart from it: {', '.join(open_[:MOST_NAMED])}{more}"
        return [sentence + "."]


def compare_on_folds(search: FoldSearch, best: Mapping[Setup, Trial], chosen: Setup) -> Comparison:
    """Every two candidates, each at its chosen grid point, by their scores on the same folds."""
    pairs = {}
    for one, other in combinations(best, 2):
        test = contrast(search, best[one], best[other])
        if test is not None:
            pairs[one, other] = test
    method = f"corrected resampled t-test over {search.folds.n_folds} folds"
    return Comparison(method, search.scoring, chosen, pairs)


def compare_on_images(
    part: Part,
    probabilities: Mapping[Setup, Float],
    chosen: Setup,
    *,
    scoring: str,
    seed: int,
) -> Comparison | None:
    """Every two candidates by what they say of the same images that none was fitted on.

    Parameters
    ----------
    part : Part
        The images, of at least two units; fewer give None.
    probabilities : mapping of Setup to ndarray of shape (n, n_classes)
    chosen : Setup
    scoring : str
    seed : int
    """
    units = part.components
    n_units = int(units.max()) + 1
    if n_units < 2:
        return None
    values = {s: fold_score(scoring, part.y, p) for s, p in probabilities.items()}
    samples = {
        s: resampled_scores(scoring, part.y, p, units, seed=seed) for s, p in probabilities.items()
    }
    pairs = {
        (one, other): paired_bootstrap(
            values[one] - values[other], samples[one] - samples[other], n_units
        )
        for one, other in _defined_pairs(values)
    }
    method = f"paired bootstrap over {n_units} {part.unit}"
    return Comparison(method, scoring, chosen, pairs)


def _defined_pairs(values: Mapping[Setup, float]) -> Sequence[tuple[Setup, Setup]]:
    return list(combinations([s for s, value in values.items() if not np.isnan(value)], 2))
