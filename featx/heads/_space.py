"""What values a head's parameter may take, for searches that choose their own points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DIGITS = 12  # of a value that was multiplied up: 10, not 10.000000000000002


@dataclass(frozen=True)
class Real:
    """Numbers from ``low`` to ``high``, both included.

    Parameters
    ----------
    low, high : float
    log : bool, default False
        Every ratio is as likely as any other, not every difference; ``low`` is then positive.
    """

    low: float
    high: float
    log: bool = False

    def draw(self, generator: np.random.Generator) -> float:
        """One value, uniform on this scale."""
        share = float(generator.uniform())
        if self.log:
            return _rounded(self.low * (self.high / self.low) ** share)
        return _rounded(self.low + (self.high - self.low) * share)

    def beyond(self, end: float, neighbour: float) -> float | None:
        """The value as far past ``end`` as ``end`` is past ``neighbour``; None where it all ends.

        "As far" is by the same ratio on a logarithmic scale.
        """
        past = end * (end / neighbour) if self.log and neighbour * end > 0 else 2 * end - neighbour
        value = _rounded(min(max(past, self.low), self.high))
        return value if (value - end) * (end - neighbour) > 0 else None


@dataclass(frozen=True)
class Integer:
    """Whole numbers from ``low`` to ``high``, both included; see `Real`."""

    low: int
    high: int
    log: bool = False

    def draw(self, generator: np.random.Generator) -> int:
        """One value, uniform on this scale."""
        share = float(generator.uniform())
        if self.log:  # each number owns the stretch from half below to half above it
            low, high = self.low - 0.5, self.high + 0.5
            return min(max(round(low * (high / low) ** share), self.low), self.high)
        return self.low + int(share * (self.high - self.low + 1))

    def beyond(self, end: float, neighbour: float) -> int | None:
        """As `Real.beyond`, at least 1 further."""
        past = Real(self.low, self.high, self.log).beyond(end, neighbour)
        if past is None:
            return None
        value = round(past)
        if value == end:
            value += 1 if end > neighbour else -1
        return value if self.low <= value <= self.high else None


@dataclass(frozen=True)
class Choice:
    """One of several values without an order: texts, truth values, tuples, None."""

    options: Sequence[Any]

    def draw(self, generator: np.random.Generator) -> Any:
        """One value, each as likely."""
        return self.options[int(generator.integers(len(self.options)))]


Dimension = Real | Integer | Choice
Space = Mapping[str, Dimension]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
