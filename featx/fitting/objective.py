"""What a strategy may know: scores of trials on some folds, trained on others, and no more.

The objective of the search itself is every fold, trained on all others. That of outer fold ``i``
of a nested search is every other fold ``j``, trained on all but ``i`` and ``j``: whatever a
strategy does with it, fold ``i`` takes no part, and can judge what it chose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featx.fitting.candidates import Setup, Trial
from featx.fitting.search import FoldSearch, Held, defined_mean
from featx.fitting.subsample import smaller

__all__ = ["Objective", "nested_objectives", "search_objective"]


@dataclass(frozen=True)
class Objective:
    """Scores on some tests.

    Parameters
    ----------
    folds : FoldSearch
        Does the fitting.
    tests : tuple of (Held, int)
        Folds to hold out together, and which of them is tested.
    """

    folds: FoldSearch
    tests: tuple[tuple[Held, int], ...]

    def at(self, share: float) -> FoldSearch:
        """What does the fitting on a share of the images; 1 is all of them."""
        return self.folds if share == 1.0 else smaller(self.folds, share)

    def scores(self, trial: Trial, share: float = 1.0) -> NDArray[np.float64] | None:
        """One score a test, NaN where it has none; None where the trial was not scored on all."""
        known = self.at(share).scores
        found = [known.get((trial, held, tested)) for held, tested in self.tests]
        return None if None in found else np.array(found, dtype=np.float64)

    def mean(self, trial: Trial, share: float = 1.0) -> float:
        """Mean over the tests where the score is defined; NaN where nothing is known."""
        scores = self.scores(trial, share)
        return float("nan") if scores is None else defined_mean(scores)

    def refused(self, setup: Setup, share: float = 1.0) -> bool:
        """Whether a setup cannot be fitted to so many images."""
        return setup in self.at(share).refused


def search_objective(folds: FoldSearch) -> Objective:
    """Every fold, trained on all others."""
    return Objective(folds, tuple((held, held[0]) for held in folds.single))


def nested_objectives(folds: FoldSearch) -> list[Objective]:
    """One for each outer fold; what a fit of two folds says serves both."""
    n = folds.folds.n_folds
    return [
        Objective(folds, tuple(((min(i, j), max(i, j)), j) for j in range(n) if j != i))
        for i in range(n)
    ]
