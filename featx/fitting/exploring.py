"""Running a strategy: once on all folds, and again in every outer fold of a nested search."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from featx.console import counted
from featx.durations import read_seconds
from featx.errors import FitError
from featx.fitting.budget import Budget
from featx.fitting.candidates import EnsembleTrial, Setup, Trial
from featx.fitting.ensemble_search import run_trials, score_ensembles
from featx.fitting.partition import FoldSet
from featx.fitting.plan import Plan
from featx.fitting.search import FoldSearch, Objective
from featx.fitting.selection import best_of, choose
from featx.fitting.strategies import STRATEGIES, Ask, Strategy
from featx.types import FloatArray

BATCH = 8  # trials of a setup between two looks at the clock
NESTED_FOLDS = 5

Most = Mapping[tuple[float, Setup], int]
Kind = Callable[[Setup], bool]  # says which setups a choice is among
Together = Callable[[Mapping[Setup, Trial], Callable[[Trial], float]], list[EnsembleTrial]]


@dataclass
class Explorer:
    """One strategy with one plan.

    Raises
    ------
    UnknownNameError
        There is no such strategy.
    """

    name: str  # of the strategy
    plan: Plan
    # the ensembles to try of the best trial of each setup, by their mean scores
    together: Together | None = None
    budget: str | None = None  # time for all searches; it starts with the first
    n_nested: int = 0  # nested searches that will share the budget
    # share of the images -> trials that the search itself had scored
    tried: dict[float, list[Trial]] = field(default_factory=dict, init=False)
    # "search", "nested" or both: which searches the budget ended
    cut: set[str] = field(default_factory=set, init=False)
    _ensembles: list[EnsembleTrial] = field(default_factory=list, init=False)
    _clock: Budget | None = field(default=None, init=False)
    # the first nested search, and its runs: one for each outer fold
    _nested: tuple[FoldSearch, list[_Run]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.strategy: Strategy = STRATEGIES.get(self.name)

    @property
    def free(self) -> bool:
        """Whether there was one trial only, so that nothing was chosen."""
        single = len({t for trials in self.tried.values() for t in trials}) == 1
        return single and not self._ensembles

    def search(self, search: FoldSearch) -> list[Trial]:
        """Every trial scored on all images and folds; of equally good ones the first is to win."""
        if self.budget is not None:
            n = search.data.n_folds
            outer = min(n, NESTED_FOLDS)
            pairs = outer * (outer - 1) / (2 if self.strategy.alike else 1)
            weights = [float(n)] + [pairs] * self.n_nested
            self._clock = Budget(read_seconds(self.budget), weights)
        run = _Run(Objective(search, search.data.tests), self.strategy, self.plan, None)
        self._advance([run], "search", keep=True, label="Search")
        self.tried = {share: list(trials) for share, trials in run.asked.items() if trials}
        return run.scored()

    def combine(self, search: FoldSearch, best: Mapping[Setup, Trial]) -> list[EnsembleTrial]:
        """Ensembles of the best trials, scored; those that cannot be made are refused."""
        self._ensembles = self.together(best, search.mean_score) if self.together else []
        run_trials(search, self._ensembles, label="Ensembles")
        return self._ensembles

    def nested(self, search: FoldSearch, select: str) -> list[Trial]:
        """The trial that each outer fold chooses, by the strategy run anew without that fold.

        The inner folds of outer fold ``i`` are the other outer folds. A fit with folds ``i`` and
        ``j`` left out is an inner fit of both outer folds: tested on ``j`` it serves ``i``, tested
        on ``i`` it serves ``j``. Where all outer folds try the same, ten fits thus do the work of
        twenty, with nothing left out. Under a budget no more trials are made than `search` made.

        Raises
        ------
        FitError
            Nothing could be fitted, or training images of two folds less are of one class.
        """
        search.data.check(search.data.pairs)
        most = None if self._clock is None else self._counts()
        runs = [
            _Run(Objective(search, search.data.tests_without(i)), self.strategy, self.plan, most)
            for i in range(search.data.n_folds)
        ]
        self._advance(runs, "nested", keep=False, label="Nested search")
        self._nested = self._nested or (search, runs)
        return _chosen(search, runs, select, self.together)

    def nested_choices(
        self, select: str, kinds: Sequence[Kind]
    ) -> tuple[FoldSearch, list[list[Trial]]] | None:
        """What each outer fold of the first nested search would choose among some setups only.

        Parameters
        ----------
        select : str
        kinds : sequence of callable
            Each says which setups one choice is among; ensembles are not.

        Returns
        -------
        tuple of (FoldSearch, list of list of Trial) or None
            The outer folds, and for each kind one trial a fold. None without a nested search.

        Raises
        ------
        FitError
            Nothing of one kind could be fitted.
        """
        if self._nested is None:
            return None
        search, runs = self._nested
        return search, [_chosen(search, runs, select, None, kind) for kind in kinds]

    def _counts(self) -> Counter[tuple[float, Setup]]:
        return Counter((share, t.setup) for share, trials in self.tried.items() for t in trials)

    def _advance(self, runs: Sequence[_Run], what: str, *, keep: bool, label: str) -> None:
        """Score what all runs ask for, together, until none asks for more or time is up.

        What two runs need is fitted once.
        """
        if self._clock is not None:
            self._clock.next_part()
        while waiting := [run for run in runs if run.ask is not None]:
            needed = any(run.ask is not None and run.ask.needed for run in waiting)
            for wave in _waves(waiting, at_once=self._clock is None):
                # the clock is looked at between waves only: a wave that began is finished
                spent = self._clock is not None and self._clock.spent
                if spent and not needed and all(run.has_something() for run in waiting):
                    self.cut.add(what)
                    break
                for share, wanted in _by_share(wave).items():
                    wave[0][0].objective.search.at(share).score(wanted, keep=keep, label=label)
                for run, trials in wave:
                    run.served(trials)
            for run in waiting:
                run.go_on()

    def notes(self) -> list[str]:
        """What the budget left out."""
        notes = []
        if "search" in self.cut:
            reached = {t.setup for t in self.tried.get(1.0, [])}
            missed = [str(setup) for setup in self.plan.setups if setup not in reached]
            notes.append(
                f"The budget of {self.budget} ended the search after "
                f"{counted(self._n_tried, 'trial')}"
                + (f"; not reached: {', '.join(missed)}." if missed else ".")
            )
        if "nested" in self.cut:
            notes.append(
                f"The budget of {self.budget} ended the nested searches before they had tried "
                "all that the search did: they selected among fewer candidates, so the "
                "estimate is too low on average."
            )
        return notes

    def document(self) -> dict[str, Any]:
        """What was tried, as JSON."""
        counts = Counter(str(t.setup) for t in self.tried.get(1.0, []))
        return {
            "strategy": self.strategy.name,
            "trials": self._n_tried,
            "trials_by_row": {str(setup): counts[str(setup)] for setup in self.plan.setups},
            "rungs": [
                {"share": share, "trials": len(self.tried[share])} for share in sorted(self.tried)
            ],
            "budget": self.budget,
            "ended_by_budget": sorted(self.cut),
        }

    @property
    def _n_tried(self) -> int:
        return sum(len(trials) for trials in self.tried.values())


def _chosen(
    search: FoldSearch,
    runs: Sequence[_Run],
    select: str,
    together: Together | None,
    kind: Kind = lambda setup: True,
) -> list[Trial]:
    """The trial that each run chooses, among setups of a kind, fitted to its outer fold."""
    while True:
        choices = [run.choose(select, together, kind) for run in runs]
        run_trials(search, list(dict.fromkeys(choices)), label="Nested folds")
        # a choice that cannot be fitted to an outer training part is chosen no more
        if not any(trial.setup in search.found.refused for trial in choices):
            return choices


class _Run:
    """A strategy under way on one objective.

    ``most`` are the trials that it may make on each share of the images.
    """

    def __init__(
        self, objective: Objective, strategy: Strategy, plan: Plan, most: Most | None
    ) -> None:
        self.objective = objective
        self.asked: dict[float, dict[Trial, None]] = defaultdict(dict)
        self._steps = strategy.search(objective, plan)
        self._most = most
        self._order: list[Trial] = []
        self.ask: Ask | None = next(self._steps)

    def pending(self) -> dict[Setup, list[Trial]]:
        """What is asked for and may be made, by setup."""
        assert self.ask is not None
        by_setup: dict[Setup, list[Trial]] = defaultdict(list)
        known = self.asked[self.ask.share]
        used = Counter(t.setup for t in known)
        for trial in self.ask.trials:
            if trial not in known and self._most is not None:
                used[trial.setup] += 1
                if used[trial.setup] > self._most.get((self.ask.share, trial.setup), 0):
                    continue
            by_setup[trial.setup].append(trial)
        return by_setup

    def served(self, trials: Sequence[Trial]) -> None:
        """Some of what is asked for is scored."""
        assert self.ask is not None
        self.asked[self.ask.share] |= dict.fromkeys(trials)

    def has_something(self) -> bool:
        """Whether there is a trial that could be chosen, or go on to more images."""
        return any(
            not self.objective.refused(t.setup, share)
            and self.objective.scores(t, share) is not None
            for share, trials in self.asked.items()
            for t in trials
        )

    def go_on(self) -> None:
        """Let the strategy look at the scores, and know whether all it asked for is there."""
        assert self.ask is not None
        # False tells the strategy that time was up before all of it was scored
        everything = self.asked[self.ask.share].keys() >= set(self.ask.trials)
        try:
            self.ask = self._steps.send(everything)
        except StopIteration as stop:
            self.ask, self._order = None, stop.value

    def scored(self) -> list[Trial]:
        """Trials scored on all images, in the strategy's order."""
        return [t for t in self._order if self.objective.scores(t) is not None]

    def choose(self, select: str, together: Together | None, kind: Kind) -> Trial:
        """The one to predict the outer fold, among setups of a kind."""
        scored = [t for t in self.scored() if kind(t.setup)]
        usable = [t for t in scored if not self.objective.refused(t.setup)]
        if not usable:
            refused = self.objective.search.found.refused.values()
            raise FitError(f"Nothing could be fitted. {next(iter(refused), '')}".rstrip())
        # by the inner folds alone: the outer fold plays no part in the selection
        best = best_of(usable, self._known_scores, select)
        ensembles = together(best, self.objective.mean) if together else []
        search, tests = self.objective.search, self.objective.tests
        score_ensembles(search, ensembles, tests, label="Nested ensembles")
        made = [e for e in ensembles if not self.objective.refused(e.setup)]
        return choose([*usable, *made], self._known_scores, select)

    def _known_scores(self, trial: Trial) -> FloatArray:
        scores = self.objective.scores(trial)
        assert scores is not None
        return scores


Wave = list[tuple[_Run, list[Trial]]]


def _waves(runs: Sequence[_Run], *, at_once: bool) -> Iterator[Wave]:
    """What the runs ask for: all of it, or a few trials of one setup after the other.

    The first few of every setup come before more of any.
    """
    pending = [(run, run.pending()) for run in runs]
    if at_once:
        yield [(run, [t for ts in by_setup.values() for t in ts]) for run, by_setup in pending]
        return
    setups = list(dict.fromkeys(s for _, by_setup in pending for s in by_setup))
    longest = max((len(ts) for _, by_setup in pending for ts in by_setup.values()), default=0)
    for first in range(0, longest, BATCH):
        for setup in setups:
            wave = [(run, by_setup[setup][first : first + BATCH]) for run, by_setup in pending]
            if any(trials for _, trials in wave):
                yield wave


def _by_share(wave: Wave) -> dict[float, dict[FoldSet, dict[Trial, None]]]:
    """What several runs want scored on each share of the images, each trial once."""
    by_share: dict[float, dict[FoldSet, dict[Trial, None]]] = {}
    for run, trials in wave:
        assert run.ask is not None
        wanted = by_share.setdefault(run.ask.share, {})
        for left_out, _ in run.objective.tests:
            wanted.setdefault(left_out, {}).update(dict.fromkeys(trials))
    return by_share
