"""What a strategy may try: the rows of the results table, and the points of each head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from featx.config import FitConfig
from featx.fitting.candidates import Setup, Trial, is_number, plan_grids
from featx.heads import HEADS, Choice, Space

Point = tuple[tuple[str, Any], ...]

DRAWS = 20  # attempts at a point that was not drawn before


@dataclass(frozen=True)
class Plan:
    """What a strategy may try."""

    setups: Sequence[Setup]  # rows of the results table, in their order
    grids: Mapping[str, Sequence[Point]]  # every point of each head's grid, in scikit-learn's order
    # what each head's parameters may be. Values that the user gave are choices: nothing else
    # is tried in their place.
    spaces: Mapping[str, Space]
    n_trials: int | None  # points to draw for each setup, where that was given
    seed: int

    def grid(self, setup: Setup) -> list[Trial]:
        """Every point of the grid."""
        return [Trial(setup, point) for point in self.grids[setup.head]]

    def draws(self, setup: Setup, n: int) -> list[Trial]:
        """``n`` distinct points drawn from the space, or all there are; the same for each head.

        Rows that share a head share its points, and so do the folds of a nested search.
        """
        return [Trial(setup, point) for point in self._drawn(setup.head, n)]

    def in_order(self, trials: Sequence[Trial]) -> list[Trial]:
        """Setups in their order, and within each the strongest regularisation first."""
        places = {setup: i for i, setup in enumerate(self.setups)}
        return sorted(trials, key=lambda t: (places[t.setup], self._strength(t)))

    def everything(self, head: str) -> list[Point] | None:
        """Every point of a space of choices; None where there are ranges."""
        names, options = sorted(self.spaces[head]), []
        for name in names:
            dimension = self.spaces[head][name]
            if not isinstance(dimension, Choice):
                return None
            options.append(dimension.options)
        return [tuple(zip(names, values, strict=True)) for values in product(*options)]

    def _drawn(self, head: str, n: int) -> list[Point]:
        space = self.spaces[head]
        if (every := self.everything(head)) is not None and len(every) <= n:
            return every
        # seeded by the head: what one head draws does not depend on which others are tried
        generator = np.random.default_rng([self.seed, *head.encode()])
        points: dict[Point, None] = {}
        for _ in range(DRAWS * n):
            points.setdefault(tuple((k, space[k].draw(generator)) for k in sorted(space)))
            if len(points) == n:
                break
        return list(points)

    def _strength(self, trial: Trial) -> tuple[tuple[int, float], ...]:
        """A key that puts what regularises most first, as far as the head's grid tells."""
        return tuple(self._rank(trial.setup.head, *item) for item in trial.params)

    def _rank(self, head: str, name: str, value: Any) -> tuple[int, float]:
        if is_number(value):
            return 1, float(value) * self._directions[head].get(name, 1)
        values = list(dict.fromkeys(v for point in self.grids[head] for k, v in point if k == name))
        return 0, values.index(value) if value in values else len(values)

    @cached_property
    def _directions(self) -> dict[str, dict[str, int]]:
        """-1 for parameters that regularise more where they are larger."""
        found: dict[str, dict[str, int]] = {}
        for head in self.grids:
            values = HEADS.get(head).param_grid
            numbers = {k: [v for v in values[k] if is_number(v)] for k in values}
            found[head] = {k: -1 for k, v in numbers.items() if v and v[0] > v[-1]}
        return found


def make_plan(setups: Sequence[Setup], config: FitConfig) -> Plan:
    """The plan that ``config`` asks for.

    Raises
    ------
    ConfigError, UnknownNameError
        See `featx.fitting.candidates.plan_grids`.
    """
    grids = plan_grids(config)
    spaces: dict[str, Space] = {}
    for name in grids:
        head = HEADS.get(name)
        own = config.param_grid.get(name)
        choices = {k: Choice(v) for k, v in (head.param_grid if own is None else own).items()}
        spaces[name] = choices if own is not None else {**choices, **head.space}
    return Plan(setups, grids, spaces, config.trials, config.seed)
