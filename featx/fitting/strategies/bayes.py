"""Points where a model of the scores so far expects improvement, through optuna."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from featx.errors import MissingExtraError
from featx.fitting.candidates import Setup, Trial
from featx.fitting.plan import Plan
from featx.fitting.search import Objective
from featx.fitting.strategies._base import Ask, Steps, Strategy
from featx.heads import Choice, Integer

TRIALS = 30
BATCH = 5  # points asked for before any of them is known; the same whatever ``jobs`` is


def search(objective: Objective, plan: Plan) -> Steps:
    """Tree-structured Parzen estimators; one for each setup, given scores in batches.

    Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011; multivariate as
    in Falkner et al., "BOHB", ICML 2018.
    """
    n, tried = plan.n_trials or TRIALS, dict[Trial, None]()
    small = [s for s in plan.setups if len(plan.everything(s.head) or range(n + 1)) <= n]
    first = [t for setup in small for t in plan.draws(setup, n)]
    studies = [_Study(plan, setup) for setup in plan.setups if setup not in small]
    time = True
    while time and (first or studies):
        size = min(BATCH, n - max((len(s.asked) for s in studies), default=0))
        asked = first + [t for study in studies for t in study.ask(size)]
        tried |= dict.fromkeys(asked)
        time = yield Ask(asked)
        for study in studies:
            study.tell(objective)
        studies = [s for s in studies if len(s.asked) < n and not objective.refused(s.setup)]
        first = []
    return plan.in_order(list(tried))


class _Study:
    """What optuna knows of one setup."""

    def __init__(self, plan: Plan, setup: Setup) -> None:
        optuna = _optuna()
        self.setup = setup
        self.asked: list[tuple[Any, Trial]] = []
        self._told = 0
        self._space = plan.spaces[setup.head]
        self._distributions = {
            name: _distribution(optuna, dimension) for name, dimension in self._space.items()
        }
        seed = zlib.crc32(f"{plan.seed} {setup.head}".encode())
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
        self._failed = optuna.trial.TrialState.FAIL
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        optuna.logging.set_verbosity(verbosity)

    def ask(self, size: int) -> list[Trial]:
        """So many points."""
        for _ in range(size):
            theirs = self._study.ask(self._distributions)
            point = tuple((k, self._value(k, theirs.params[k])) for k in sorted(self._space))
            self.asked.append((theirs, Trial(self.setup, point)))
        return [trial for _, trial in self.asked[self._told :]]

    def tell(self, objective: Objective) -> None:
        """The scores of what was asked for last."""
        for theirs, trial in self.asked[self._told :]:
            mean = objective.mean(trial)
            if np.isnan(mean):
                self._study.tell(theirs, state=self._failed)
            else:
                self._study.tell(theirs, mean)
        self._told = len(self.asked)

    def _value(self, name: str, value: Any) -> Any:
        dimension = self._space[name]
        return dimension.options[value] if isinstance(dimension, Choice) else value


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("--search bayes", "optuna") from None
    return optuna


def _distribution(optuna: Any, dimension: Any) -> Any:
    """Choices by their number: optuna takes plain values only."""
    if isinstance(dimension, Choice):
        return optuna.distributions.CategoricalDistribution(range(len(dimension.options)))
    kind = "Int" if isinstance(dimension, Integer) else "Float"
    distribution = getattr(optuna.distributions, f"{kind}Distribution")
    return distribution(dimension.low, dimension.high, log=dimension.log)


PLUGIN = Strategy(
    name="bayes",
    summary="points with the largest expected improvement; optuna",
    search=search,
    alike=False,
    check=_optuna,
)
