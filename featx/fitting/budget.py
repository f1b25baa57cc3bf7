"""The time that a search may take, shared between it and the nested searches."""

from __future__ import annotations

import time
from collections.abc import Callable


class Budget:
    """A stretch of wall-clock time in parts, one after the other.

    What a part leaves over the next ones have; the first one starts now.

    Parameters
    ----------
    seconds : float
    weights : list of float
        How the time is shared, for instance by the number of fits.
    clock : callable, optional
        Seconds since any moment.
    """

    def __init__(
        self, seconds: float, weights: list[float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._weights = clock, list(weights)
        self._end = clock() + seconds
        self._until = self._end

    def next_part(self) -> None:
        """Start the next part; after the last one there is nothing left over."""
        now, left = self._clock(), sum(self._weights)
        weight = self._weights.pop(0) if self._weights else 0.0
        self._until = now + (self._end - now) * (weight / left if left else 0.0)

    def charge(self, seconds: float) -> None:
        """Count time that this part took before, in a search that was interrupted."""
        self._end -= seconds
        self._until -= seconds

    @property
    def spent(self) -> bool:
        """Whether the time of this part is up."""
        return self._clock() >= self._until
