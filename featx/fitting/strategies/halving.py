"""Everything on few images first; the best third goes on to three times as many, and again."""

from __future__ import annotations

import math

from featx.fitting.candidates import Setup, Trial
from featx.fitting.plan import Plan
from featx.fitting.search import Objective
from featx.fitting.strategies._base import Ask, Steps, Strategy

FACTOR = 3
SHARES = (1 / 9, 1 / 3)  # of the images, before all of them


def search(objective: Objective, plan: Plan) -> Steps:
    """Jamieson and Talwalkar, "Non-stochastic best arm identification", AISTATS 2016.

    Each setup halves by itself, so that every row of the results table has its finalists.
    """
    left = {
        setup: plan.grid(setup) if plan.n_trials is None else plan.draws(setup, plan.n_trials)
        for setup in plan.setups
    }
    time, scored = True, set[Setup]()
    for i, share in enumerate(SHARES):
        most = FACTOR ** (len(SHARES) - 1 - i)  # so many may go on to what follows as they are
        asked = {s: trials for s, trials in left.items() if len(trials) > most}
        if not (time and asked and _is_smaller(objective, share)):
            continue
        time = yield Ask([t for trials in asked.values() for t in trials], share)
        for setup, trials in asked.items():
            best = _best_first(objective, trials, share)
            kept = math.ceil(len(trials) / FACTOR)
            if best:
                scored.add(setup)
                left[setup] = best[: kept if time else 1]
            elif not time:
                left[setup] = trials[:1] if setup in scored else []
    finalists = plan.in_order([t for trials in left.values() for t in trials])
    yield Ask(finalists, needed=not time)
    return finalists


def _is_smaller(objective: Objective, share: float) -> bool:
    """Whether the share is one: of few groups or rare classes more are taken than asked for."""
    return objective.n_images(share) <= 2 * share * objective.n_images()


def _best_first(objective: Objective, trials: list[Trial], share: float) -> list[Trial]:
    """Trials with a score; none where so few images tell nothing: then all of them go on."""
    if objective.refused(trials[0].setup, share):
        return []
    means = {t: objective.mean(t, share) for t in trials}
    known = [t for t in trials if not math.isnan(means[t])]
    return sorted(known, key=lambda t: -means[t])


PLUGIN = Strategy(
    name="halving",
    summary="all on few images, the best third on three times as many",
    search=search,
)
