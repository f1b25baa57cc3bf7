"""Lengths of time as people write them: ``90s``, ``5m``, ``2h30m``."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_PATTERN = "".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in _UNITS)


def read_seconds(text: str) -> float:
    """Seconds in ``text``.

    Raises
    ------
    ValueError
        It is not hours, minutes and seconds in this order, or not above 0.
    """
    match = re.fullmatch(_PATTERN, text.strip())
    found = {} if match is None else match.groupdict()
    seconds = sum(_UNITS[unit] * float(number) for unit, number in found.items() if number)
    if seconds <= 0:
        raise ValueError("should be a length of time above 0, such as 90s, 5m or 2h30m")
    return seconds


def say_seconds(seconds: float) -> str:
    """A length of time that is not exact, for people: ``20 s``, ``7 min``, ``2.5 h``."""
    if seconds < 55:
        return f"{max(1, round(seconds, -1 if seconds >= 10 else 0)):.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
