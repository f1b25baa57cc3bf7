"""Whether the best value lies at an end of what was searched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.fitting.candidates import Trial, is_number
from featx.heads import HEADS, Choice

TIE = 1e-12
FEWEST = 3  # values: of two, one is always best

Mean = Callable[[Trial], float]


@dataclass(frozen=True)
class Edge:
    """The best trial of a setup has the smallest or largest value of a parameter."""

    trial: Trial
    name: str  # the parameter
    value: float  # the one at the end, and the one before it
    neighbour: float

    def comes_first(self, trials: Sequence[Trial]) -> bool:
        """Whether, as the values are listed, the end is the first of them."""
        other = replaced(self.trial, self.name, self.neighbour)
        return trials.index(self.trial) < trials.index(other)


def replaced(trial: Trial, name: str, value: Any) -> Trial:
    """The trial with another value of one parameter."""
    return Trial(trial.setup, tuple((k, value if k == name else v) for k, v in trial.params))


def edges(trials: Sequence[Trial], mean: Mean) -> Iterator[Edge]:
    """Ends at which the best of one setup's trials lies, and is better than just before.

    Values are compared with all other parameters those of the best.

    Parameters
    ----------
    trials : sequence of Trial
        Of one setup.
    mean : callable
        Score of a trial; NaN where it has none.
    """
    means = np.nan_to_num([mean(t) for t in trials], nan=-np.inf)
    if not len(means) or means.max() == -np.inf:
        return
    best, known = trials[int(means.argmax())], set(trials)
    for name, value in best.params:
        if not is_number(value):
            continue
        values = {v for t in trials for k, v in t.params if k == name and is_number(v)}
        line = sorted(v for v in values if replaced(best, name, v) in known)
        if len(line) < FEWEST or value not in (line[0], line[-1]):
            continue
        neighbour = line[1] if value == line[0] else line[-2]
        if mean(best) - mean(replaced(best, name, neighbour)) > TIE:
            yield Edge(best, name, value, neighbour)


def edge_notes(trials: Sequence[Trial], grid: Sequence[Trial], mean: Mean) -> list[str]:
    """What was tried past an end of the grid, and whether the best still lies at one.

    Parameters
    ----------
    trials : sequence of Trial
        Of one setup, all scored.
    grid : sequence of Trial
        Those that were tried in any case.
    mean : callable
    """
    notes = []
    further = [t for t in trials if t not in grid]
    for name in dict.fromkeys(k for t in further for k, _ in t.params):
        given = {v for t in grid for k, v in t.params if k == name}
        new = dict.fromkeys(
            f"{v:g}" for t in further for k, v in t.params if k == name and v not in given
        )
        if new:
            notes.append(
                f"The best {name} of {trials[0].setup} was at an end of its grid: "
                f"{', '.join(new)} {'was' if len(new) == 1 else 'were'} tried too."
            )
    for edge in edges(trials, mean):
        head = edge.trial.setup.head
        dimension = HEADS.get(head).space.get(edge.name)
        ends = dimension is not None and not isinstance(dimension, Choice)
        if ends and dimension.beyond(edge.value, edge.neighbour) is None:
            continue
        end = "smallest" if edge.value < edge.neighbour else "largest"
        notes.append(
            f"The best {edge.name} of {edge.trial.setup} is {edge.value:g}, the {end} searched: a "
            f"wider param_grid.{head}.{edge.name} may do better."
        )
    return notes
