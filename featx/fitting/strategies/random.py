"""Points drawn from the space."""

from __future__ import annotations

from featx.fitting.plan import Plan
from featx.fitting.search import Objective
from featx.fitting.strategies._base import Ask, Steps, Strategy

TRIALS = 30


def search(objective: Objective, plan: Plan) -> Steps:
    """Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012."""
    trials = [t for setup in plan.setups for t in plan.draws(setup, plan.n_trials or TRIALS)]
    yield Ask(trials)
    return plan.in_order(trials)


PLUGIN = Strategy(name="random", summary="points drawn from each head's space", search=search)
