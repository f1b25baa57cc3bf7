"""Rules for values of parameters and settings: functions that say whether a value is allowed."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

Rule = Callable[[Any], bool]


def whole(low: int, high: float = math.inf) -> Rule:
    """Whole numbers from ``low`` to ``high``."""
    return lambda v: isinstance(v, Integral) and not isinstance(v, bool) and low <= int(v) <= high


def number(low: float, high: float = math.inf, *, above: bool = False, below: bool = False) -> Rule:
    """Finite numbers from ``low`` to ``high``; ``above`` and ``below`` leave the ends out."""

    def holds(v: Any) -> bool:
        if not isinstance(v, Real) or isinstance(v, bool) or not math.isfinite(v):
            return False
        value = float(v)
        return (value > low if above else value >= low) and (
            value < high if below else value <= high
        )

    return holds


def among(*values: Any) -> Rule:
    """One of several values."""
    return lambda v: any(type(v) is type(value) and v == value for value in values)


def truth(value: Any) -> bool:
    """True or False."""
    return type(value).__name__ in {"bool", "bool_"}
