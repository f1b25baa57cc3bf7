"""What a user asks decisions to reach, and fitting it out of fold."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.config import FitConfig
from featx.errors import ConfigError, UnknownNameError
from featx.model.decision import Costs, Cutoff
from featx.stats.shares import shares
from featx.stats.thresholds import tune_cutoff

__all__ = ["CostRule", "CutoffRule", "Rule", "decide_by_fold", "read_rule"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class CutoffRule:
    """One class is to reach a recall or a precision."""

    column: int
    name: str
    metric: str
    target: float

    def fit(self, y: Int, probabilities: Float) -> Cutoff:
        """The cutoff, from images that the classifier was not fitted on."""
        own = probabilities[:, self.column]
        cutoff = tune_cutoff(y == self.column, own, self.metric, self.target)
        return Cutoff(column=self.column, cutoff=cutoff)

    def achieved(self, y: Int, decided: Int, likeliest: Int, units: Int, **how: Any) -> Any:
        """JSON: recall and precision of the class; ``how`` is what `shares` takes."""
        true, said = y == self.column, decided == self.column
        recall, precision = shares([(said, true), (true, said)], units, **how)
        asked = f"{self.name}:{self.metric}={self.target:g}"
        return {"asked": asked, "recall": recall, "precision": precision}


@dataclass(frozen=True)
class CostRule:
    """Mistakes have costs."""

    costs: Float

    def fit(self, y: Int, probabilities: Float) -> Costs:
        """Nothing is tuned: the probabilities say which class is expected to cost least."""
        return Costs(costs=self.costs.tolist())

    def achieved(self, y: Int, decided: Int, likeliest: Int, units: Int, **how: Any) -> Any:
        """JSON: mean cost of an image, beside that of the likeliest class; see `CutoffRule`."""
        everyone = np.ones(len(y), bool)
        each = [(self.costs[y, said], everyone) for said in (decided, likeliest)]
        own, other = shares(each, units, **how, proportion=False)
        return {"asked": "costs", "mean_cost": own, "mean_cost_of_the_likeliest": other}


Rule = CutoffRule | CostRule


def decide_by_fold(rule: Rule | None, y: Int, probabilities: Float, fold: Int) -> Int | None:
    """Classes that the rule decides for, each fold's by what the other folds tune; or None."""
    if rule is None:
        return None
    decided = np.empty(len(y), np.int64)
    for each in np.unique(fold):
        rows = fold == each
        decision = rule.fit(y[~rows], probabilities[~rows])
        decided[rows] = decision.decide(probabilities[rows])
    return decided


def read_rule(config: FitConfig, classes: Sequence[str]) -> Rule | None:
    """What ``config.threshold`` or ``config.costs`` asks for; None where neither is given.

    Raises
    ------
    ConfigError, UnknownNameError
        Both are given, one is malformed, or a class does not exist.
    """
    if config.threshold is not None and config.costs is not None:
        raise ConfigError("--threshold and --costs both decide.", hint="Give one of them.")
    if config.costs is not None:
        return CostRule(_read_costs(config.costs, classes))
    return None if config.threshold is None else _read_cutoff(config.threshold, classes)


def _read_cutoff(text: str, classes: Sequence[str]) -> CutoffRule:
    name, _, asked = text.rpartition(":")
    metric, _, number = asked.partition("=")
    try:
        target = float(number)
    except ValueError:
        target = float("nan")
    if metric not in {"recall", "precision"} or not 0 < target <= 1:
        raise ConfigError(
            f"--threshold {text!r} is not of the form CLASS:recall=0.95 or CLASS:precision=0.9.",
            hint="The number is above 0 and at most 1.",
        )
    if name not in classes:
        raise UnknownNameError("class", name, classes)
    return CutoffRule(list(classes).index(name), name, metric, target)


def _read_costs(path: str, classes: Sequence[str]) -> Float:
    """The CSV file: first row and column name classes, each row a true one."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the costs {path!r}: {error}.") from None
    decided, true = rows[0][1:] if rows else [], [row[0] for row in rows[1:]]
    if sorted(decided) != sorted(classes) or sorted(true) != sorted(classes):
        raise ConfigError(
            f"The costs {path!r} must name each class once in the first row (decided for) and the "
            f"first column (true class): {', '.join(classes)}."
        )
    try:
        cells = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]])
    except ValueError as error:
        raise ConfigError(f"The costs {path!r} must be numbers: {error}.") from None
    if cells.shape != (len(classes), len(classes)) or not np.isfinite(cells).all():
        raise ConfigError(f"The costs {path!r} must be a finite number in every cell.")
    order = [true.index(name) for name in classes], [decided.index(name) for name in classes]
    return cells[np.ix_(*order)]
