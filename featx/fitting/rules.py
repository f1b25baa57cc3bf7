"""What a user asks decisions to reach, and fitting it out of fold."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.artifact.decision import Costs
from featx.artifact.threshold import Threshold, read_threshold
from featx.config import FitConfig
from featx.data.table import read_lines
from featx.errors import ConfigError, DatasetError
from featx.files import printable
from featx.stats.shares import shares
from featx.types import FloatArray, IntArray

SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class CostRule:
    """Mistakes have costs."""

    costs: FloatArray

    def fit(self, y: IntArray, probabilities: FloatArray) -> Costs:
        """Nothing is tuned: the probabilities give the class that is expected to cost least."""
        return Costs(costs=self.costs.tolist())

    def achieved(
        self, y: IntArray, decided: IntArray, likeliest: IntArray, units: IntArray, **how: Any
    ) -> Any:
        """JSON.

        Mean cost of an image, beside that of the likeliest class; ``how`` is what `shares` takes.
        """
        everyone = np.ones(len(y), bool)
        each = [(self.costs[y, y_pred], everyone) for y_pred in (decided, likeliest)]
        own, other = shares(each, units, **how, proportion=False)
        return {"asked": "costs", "mean_cost": own, "mean_cost_of_the_likeliest": other}


Rule = Threshold | CostRule


def decide_by_fold(
    rule: Rule | None, y: IntArray, probabilities: FloatArray, fold: IntArray
) -> IntArray | None:
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
        raise ConfigError(
            "--threshold and --costs both set the decision rule.", hint="Give one of them."
        )
    if config.costs is not None:
        return CostRule(_read_costs(config.costs, classes))
    if config.threshold is None:
        _check_prevalence(config, classes)
        return None
    return read_threshold(config.threshold, classes, config.prevalence)


def _check_prevalence(config: FitConfig, classes: Sequence[str]) -> None:
    """Of more than two classes a threshold says which one the prevalence is of."""
    if config.prevalence is not None and len(classes) > 2:
        raise ConfigError(
            f"--prevalence {config.prevalence:g} is the share of one class, but there are "
            f"{len(classes)}.",
            hint="Say which with --threshold CLASS:recall=0.95.",
        )


def _read_costs(path: str, classes: Sequence[str]) -> FloatArray:
    """The CSV file: first row and column name classes, each row a true one.

    It may be separated by commas, semicolons or tabs, be UTF-8 or UTF-16, and write decimal commas
    where they separate nothing.
    """
    shown = printable(path)
    try:
        lines = read_lines(path)
    except DatasetError as error:
        reason = error.message.rpartition(": ")[2]
        raise ConfigError(f"Cannot read the costs '{shown}': {reason}") from None
    wanted = {_plain(name): i for i, name in enumerate(classes)}
    for delimiter in SEPARATORS if lines else ():
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
        decided, true = [_plain(c) for c in rows[0][1:]], [_plain(r[0]) for r in rows[1:] if r]
        if sorted(decided) == sorted(true) == sorted(wanted) and len(wanted) == len(classes):
            cells = _cost_cells(shown, [row[1:] for row in rows[1:] if row], delimiter)
            order = np.argsort([wanted[name] for name in true])
            return cells[order][:, np.argsort([wanted[name] for name in decided])]
    found = lines[0].lstrip("\ufeff") if lines else "nothing"
    raise ConfigError(
        f"The costs '{shown}' must name each class once in the first row (predicted class) and "
        "the first column (true class), separated by commas, semicolons or tabs. The "
        f"classes: {printable(', '.join(classes))}. The first row: {printable(found[:200])}"
    )


def _cost_cells(shown: str, cells: Sequence[Sequence[str]], delimiter: str) -> FloatArray:
    """Numbers, as many in every row as there are rows."""
    values = []
    for row in cells:
        for cell in row:
            number = cell if delimiter == "," else cell.replace(",", ".")
            try:
                values.append(float(number))
            except ValueError:
                raise ConfigError(
                    f"The costs '{shown}' must be numbers; {printable(cell)!r} is not one."
                ) from None
    n = len(cells)
    if {len(row) for row in cells} != {n} or not np.isfinite(values).all():
        raise ConfigError(f"The costs '{shown}' must be a finite number in every cell.")
    return np.array(values).reshape(n, n)


def _plain(name: str) -> str:
    """A class as its reader takes it: however its accents are written, without spaces around."""
    return unicodedata.normalize("NFC", name.strip())
