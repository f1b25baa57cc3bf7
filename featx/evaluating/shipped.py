"""Metrics on other images beside the estimate that a model was shipped with."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot
from typing import Any

from featx.runs.estimates import Interval
from featx.runs.evaluated import WithShipped
from featx.stats.metrics import lower_is_better

#: Metrics that are means over images, or over the classes that have any.
OF_SOME_CLASSES = {"accuracy", "balanced_accuracy", "log_loss", "brier"}


def against_shipped(
    here: Mapping[str, Interval], shipped: Mapping[str, Interval], *, same_classes: bool = True
) -> dict[str, WithShipped]:
    """Each metric that both have.

    Parameters
    ----------
    here, shipped : mapping of str to Interval
        ``metrics`` of two estimates from different images.
    same_classes : bool, default True
        Whether both have images of the same classes. If not, averages over classes that are not
        there, and what depends on their ranks, are left out.

    References
    ----------
    Zou and Donner, "Construction of confidence limits about effect measures: a general approach",
    Statistics in Medicine 27, 2008, for the interval of a difference from those of its two sides.
    """
    return {
        name: _compared(row, shipped[name], lower_is_better(name))
        for name, row in here.items()
        if (same_classes or name in OF_SOME_CLASSES or name.startswith("top_"))
        and name in shipped
        and row.value is not None
        and shipped[name].value is not None
    }


def _compared(here: Interval, shipped: Interval, lower: bool) -> WithShipped:
    difference = _difference(here, shipped)
    worse = False
    if difference is not None:
        end = difference["low"] if lower else difference["high"]
        worse = end > 0 if lower else end < 0
    return WithShipped(
        here=here,
        shipped=shipped,
        place=_place(here, shipped),
        difference=None if difference is None else Interval(**difference),
        worse=worse,
    )


def _place(here: Interval, shipped: Interval) -> Any:
    if here.value is None or shipped.low is None or shipped.high is None:
        return "unknown"
    if here.value < shipped.low:
        return "below"
    return "above" if here.value > shipped.high else "inside"


def _difference(here: Interval, shipped: Interval) -> dict[str, float] | None:
    a, b = here, shipped
    if a.value is None or b.value is None or None in (a.low, a.high, b.low, b.high):
        return None
    assert a.low is not None and a.high is not None and b.low is not None and b.high is not None  # noqa: PT018
    value = a.value - b.value
    return {
        "value": value,
        "low": value - hypot(a.value - a.low, b.high - b.value),
        "high": value + hypot(a.high - a.value, b.value - b.low),
    }
