"""Numbers for people: one way to write a value, an interval, a share and a p-value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What stands where there is no number.
NOTHING = "–"


def number(
    value: float | None,
    digits: int = 3,
    *,
    scale: float = 1.0,
    signed: bool = False,
    kind: str = "f",
) -> str:
    """``0.853``; with its sign ``+0.010`` or ``−0.010``, and none for what rounds to nothing.

    Parameters
    ----------
    value : float or None
        None gives a dash.
    digits : int, default=3
    scale : float, default=1.0
        100 for percent or points.
    signed : bool, default=False
        Whether a positive value has a plus.
    kind : {"f", "g"}, default="f"
        As in Python's format specifications.
    """
    if value is None:
        return NOTHING
    text = f"{scale * value:{'+' if signed else ''}.{digits}{kind}}"
    if float(text) == 0:
        return text.lstrip("+-")
    return f"−{text[1:]}" if text.startswith("-") else text


def bounds(row: Mapping[str, Any], digits: int = 3, *, scale: float = 1.0, kind: str = "f") -> str:
    """``[0.821, 0.884]``; empty where there is no interval."""
    low, high = (row[k] for k in ("low", "high"))
    if low is None or high is None:
        return ""
    ends = (number(end, digits, scale=scale, kind=kind) for end in (low, high))
    return f"[{', '.join(ends)}]"


def interval(
    row: Mapping[str, Any],
    digits: int = 3,
    *,
    scale: float = 1.0,
    signed: bool = False,
    unit: str = "",
    kind: str = "f",
) -> str:
    """``0.853 [0.821, 0.884]``, the value alone where there is no interval.

    Parameters
    ----------
    row : mapping
        ``value``, or ``mean`` of a difference, with ``low`` and ``high``.
    digits, scale, signed, kind
        See `number`; the ends have no plus.
    unit : str, default=""
        After the value, such as ``" %"``.
    """
    value = row["mean"] if "mean" in row else row["value"]
    if value is None:
        return NOTHING
    text = number(value, digits, scale=scale, signed=signed, kind=kind) + unit
    return f"{text} {bounds(row, digits, scale=scale, kind=kind)}".rstrip()


def percent(share: float | None, digits: int = 1) -> str:
    """``93.1 %``."""
    return NOTHING if share is None else f"{number(share, digits, scale=100)} %"


def in_percent(row: Mapping[str, Any]) -> str:
    """``93.1 % [91.0, 95.2]``, of a row as `interval` takes it."""
    return interval(row, 1, scale=100, unit=" %")


def p_value(p: float) -> str:
    """``0.012``, ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_compared(p: float) -> str:
    """``= 0.012``, ``< 0.001``: what follows the letter p."""
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def cell(value: Any) -> str:
    """A value as a table shows it: numbers, intervals, yes or no, and text as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return interval(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else number(value)
