"""Every point of the grid, and on past an end that is best."""

from __future__ import annotations

from featx.fitting.candidates import Trial
from featx.fitting.edges import edges, replaced
from featx.fitting.objective import Objective
from featx.fitting.plan import Plan
from featx.fitting.strategies._base import Ask, Steps, Strategy
from featx.heads import Choice, Space

STEPS = 3  # past an end, at most


def search(objective: Objective, plan: Plan) -> Steps:
    """All at once; then one value further wherever the best lies at an end, while that helps."""
    grids = {setup: plan.grid(setup) for setup in plan.setups}
    time = yield Ask([t for trials in grids.values() for t in trials])
    for _ in range(STEPS):
        further = []
        if time:
            for setup, trials in grids.items():
                further += _go_on(objective, trials, plan.spaces[setup.head])
        if not further:
            break
        time = yield Ask(further)
    return [t for trials in grids.values() for t in trials]


def _go_on(objective: Objective, trials: list[Trial], space: Space) -> list[Trial]:
    """Trials past the ends at which the best of one setup lies, put in their place among all."""
    further = []
    for edge in edges(trials, objective.mean):
        dimension = space.get(edge.name)
        if dimension is None or isinstance(dimension, Choice):
            continue
        value = dimension.beyond(edge.value, edge.neighbour)
        if value is not None:
            further.append(replaced(edge.trial, edge.name, value))
            after = not edge.comes_first(trials)
            trials.insert(trials.index(edge.trial) + after, further[-1])
    return further


PLUGIN = Strategy(
    name="grid", summary="every value, and on past an end that is best", search=search
)
