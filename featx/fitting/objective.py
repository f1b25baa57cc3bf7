"""What a strategy may know: scores of trials on some folds, trained on others, and no more.

The objective of the search itself is every fold, trained on all others. That of outer fold ``i``
of a nested search is every other fold ``j``, trained on all but ``i`` and ``j``: whatever a
strategy does with it, fold ``i`` takes no part, and can evaluate what it chose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx.fitting.candidates import Setup, Trial
from featx.fitting.partition import FoldSet
from featx.fitting.search import FoldSearch, defined_mean
from featx.types import FloatArray


@dataclass(frozen=True)
class Objective:
    """Scores on some tests."""

    search: FoldSearch  # does the fitting
    # folds to leave out together, and which of them is tested
    tests: tuple[tuple[FoldSet, int], ...]

    def n_images(self, share: float = 1.0) -> int:
        """Images that a share of them is; more than asked for where groups or classes are few."""
        return len(self.search.at(share).part)

    def scores(self, trial: Trial, share: float = 1.0) -> FloatArray | None:
        """One score a test, NaN where it has none; None where the trial was not scored on all."""
        known = self.search.at(share).found.scores
        found = [known.get((trial, *test)) for test in self.tests]
        return None if None in found else np.array(found, dtype=np.float64)

    def mean(self, trial: Trial, share: float = 1.0) -> float:
        """Mean over the tests where the score is defined; NaN where nothing is known."""
        scores = self.scores(trial, share)
        return float("nan") if scores is None else defined_mean(scores)

    def refused(self, setup: Setup, share: float = 1.0) -> bool:
        """Whether a setup cannot be fitted to so many images."""
        return setup in self.search.at(share).found.refused


def search_objective(search: FoldSearch) -> Objective:
    """Every fold, trained on all others."""
    return Objective(search, tuple((left_out, left_out[0]) for left_out in search.data.single))


def nested_objectives(search: FoldSearch) -> list[Objective]:
    """One for each outer fold; a fit with two folds left out serves both."""
    n = search.data.n_folds
    return [
        Objective(search, tuple(((min(i, j), max(i, j)), j) for j in range(n) if j != i))
        for i in range(n)
    ]
