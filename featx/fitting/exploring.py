"""Running a strategy: once on all folds, and again in every outer fold of a nested search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.errors import FitError
from featx.fitting.candidates import Trial
from featx.fitting.choice import choose
from featx.fitting.objective import Objective, nested_objectives, search_objective
from featx.fitting.plan import Plan
from featx.fitting.search import FoldSearch, Held
from featx.fitting.strategies import STRATEGIES, Ask, Strategy

__all__ = ["Explorer"]


class Explorer:
    """One strategy with one plan.

    Parameters
    ----------
    name : str
        Of the strategy.
    plan : Plan

    Attributes
    ----------
    tried : dict
        ``share of the images -> trials`` that the search itself had scored.

    Raises
    ------
    UnknownNameError
        There is no such strategy.
    """

    def __init__(self, name: str, plan: Plan) -> None:
        self.strategy: Strategy = STRATEGIES.get(name)
        self.plan = plan
        self.tried: dict[float, list[Trial]] = {}

    @property
    def free(self) -> bool:
        """Whether there was one trial only, so that nothing was chosen."""
        return len({t for trials in self.tried.values() for t in trials}) == 1

    def search(self, folds: FoldSearch) -> list[Trial]:
        """Every trial scored on all images and folds; of equally good ones the first is to win."""
        run = _Run(search_objective(folds), self.strategy, self.plan)
        self._take_forward([run], keep=True, label="Search")
        self.tried = {share: list(trials) for share, trials in run.asked.items()}
        return run.scored()

    def nested(self, folds: FoldSearch, select: str) -> list[Trial]:
        """The trial that each outer fold chooses, by the strategy run anew without that fold.

        The inner folds of outer fold ``i`` are the other outer folds. A fit with folds ``i`` and
        ``j`` held out is an inner fit of both outer folds: tested on ``j`` it serves ``i``, tested
        on ``i`` it serves ``j``. Where all outer folds try the same, ten fits thus do the work of
        twenty, with nothing left out.

        Raises
        ------
        FitError
            Nothing could be fitted, or training images of two folds less are of one class.
        """
        folds.check(folds.pairs)
        runs = [_Run(o, self.strategy, self.plan) for o in nested_objectives(folds)]
        self._take_forward(runs, keep=False, label="Nested search")
        while True:
            choices = [run.choose(select) for run in runs]
            folds.run(list(dict.fromkeys(choices)), folds.single, keep=True, label="Nested folds")
            if not any(trial.setup in folds.refused for trial in choices):
                return choices

    def _take_forward(self, runs: Sequence[_Run], *, keep: bool, label: str) -> None:
        """Score what all runs ask for, together, until none asks for more."""
        while waiting := [run for run in runs if run.ask is not None]:
            by_share: dict[float, dict[Held, dict[Trial, None]]] = {}
            for run in waiting:
                run.want(by_share)
            for share, wanted in by_share.items():
                waiting[0].objective.at(share).score(wanted, keep=keep, label=label)
            for run in waiting:
                run.go_on(time=True)

    def document(self) -> dict[str, Any]:
        """What was tried, as JSON."""
        return {
            "strategy": self.strategy.name,
            "trials": sum(len(trials) for trials in self.tried.values()),
            "rungs": [
                {"share": share, "trials": len(self.tried[share])} for share in sorted(self.tried)
            ],
        }


class _Run:
    """A strategy under way on one objective."""

    def __init__(self, objective: Objective, strategy: Strategy, plan: Plan) -> None:
        self.objective = objective
        self.asked: dict[float, dict[Trial, None]] = defaultdict(dict)
        self._steps = strategy.search(objective, plan)
        self._order: list[Trial] = []
        self.ask: Ask | None = next(self._steps)

    def want(self, wanted: dict[float, dict[Held, dict[Trial, None]]]) -> None:
        """Add what is asked for."""
        assert self.ask is not None
        self.asked[self.ask.share] |= dict.fromkeys(self.ask.trials)
        held_sets = wanted.setdefault(self.ask.share, {})
        for held, _ in self.objective.tests:
            held_sets.setdefault(held, {}).update(dict.fromkeys(self.ask.trials))

    def go_on(self, *, time: bool) -> None:
        """Let the strategy look at the scores."""
        try:
            self.ask = self._steps.send(time)
        except StopIteration as stop:
            self.ask, self._order = None, stop.value

    def scored(self) -> list[Trial]:
        """Trials scored on all images, in the strategy's order."""
        return [t for t in self._order if self.objective.scores(t) is not None]

    def choose(self, select: str) -> Trial:
        """The one to predict the outer fold."""
        usable = [t for t in self.scored() if not self.objective.refused(t.setup)]
        if not usable:
            refused = self.objective.folds.refused.values()
            raise FitError(f"Nothing could be fitted. {next(iter(refused))}")
        return choose(usable, self._known_scores, select)

    def _known_scores(self, trial: Trial) -> NDArray[np.float64]:
        scores = self.objective.scores(trial)
        assert scores is not None
        return scores
