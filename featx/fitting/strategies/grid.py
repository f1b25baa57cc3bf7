"""Every point of the grid, and on past an end that is best."""

from __future__ import annotations

import math
from dataclasses import replace

from featx.fitting.candidates import Setup, Trial
from featx.fitting.edges import Edge, edges, replaced
from featx.fitting.plan import Plan
from featx.fitting.search import Objective
from featx.fitting.strategies._base import Ask, Steps, Strategy
from featx.heads import Choice, Space

STEPS = 3  # past an end, at most


def search(objective: Objective, plan: Plan) -> Steps:
    """All at once; then one value further wherever the best lies at an end, while that helps.

    Not where a row leads that differs in its embedding alone, by more than the steps that are left
    would gain if each gained as much as the last one: along a penalty scores rise ever more slowly.
    """
    grids = {setup: plan.grid(setup) for setup in plan.setups}
    time = yield Ask([t for trials in grids.values() for t in trials])
    for left in range(STEPS, 0, -1):
        further = []
        if time:
            leading = _leading(objective, grids)
            for setup, trials in grids.items():
                least = leading[replace(setup, backbones=())]
                further += _go_on(objective, trials, plan.spaces[setup.head], least, left)
        if not further:
            break
        time = yield Ask(further)
    return [t for trials in grids.values() for t in trials]


def _leading(objective: Objective, grids: dict[Setup, list[Trial]]) -> dict[Setup, float]:
    """The best mean score of all embeddings, for each setup without them."""
    found: dict[Setup, float] = {}
    for setup, trials in grids.items():
        means = [mean for t in trials if not math.isnan(mean := objective.mean(t))]
        other = replace(setup, backbones=())
        found[other] = max([found.get(other, -math.inf), *means])
    return found


def _go_on(
    objective: Objective, trials: list[Trial], space: Space, least: float, left: int
) -> list[Trial]:
    """Trials past the ends at which the best of one setup lies, put in their place among all.

    None where ``left`` steps like the last one would not lead to a mean score of ``least``.
    """
    further = []
    for edge in edges(trials, objective.mean):
        dimension = space.get(edge.name)
        if dimension is None or isinstance(dimension, Choice):
            continue
        if not _may_reach(objective, edge, least, left):
            continue
        value = dimension.beyond(edge.value, edge.neighbour)
        if value is not None:
            further.append(replaced(edge.trial, edge.name, value))
            after = not edge.comes_first(trials)
            trials.insert(trials.index(edge.trial) + after, further[-1])
    return further


def _may_reach(objective: Objective, edge: Edge, least: float, left: int) -> bool:
    here = objective.mean(edge.trial)
    before = objective.mean(replaced(edge.trial, edge.name, edge.neighbour))
    return here + left * (here - before) >= least


PLUGIN = Strategy(
    name="grid", summary="every value, and on past an end that is best", search=search
)
