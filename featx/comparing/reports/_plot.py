"""Quality against cost as SVG: no library, no script, colours from the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from featx.comparing.layout import Plot, Point
from featx.pages import Markup, element

__all__ = ["draw"]

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 18, 14, 40
ROOM = 0.12  # free share of each side of an axis


class _Scale:
    """From values to places on one axis."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        room = ROOM * (high - low) or 0.5 * abs(low) or 0.5
        self.low, self.high = low - room, high + room
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Round numbers on the axis, three to eight of them."""
        span = self.high - self.low
        tenth = 10.0 ** (math.floor(math.log10(span)) - 1)
        step = next(s * tenth for s in (20, 10, 5, 2) if span / (s * tenth) >= 2.5)
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step) + 1)]


def draw(plot: Plot) -> Markup:
    """The plot; points are numbered in the order of the runs that it shows."""
    x = _Scale([math.log10(p.cost_s) for p in plot.points], LEFT, WIDTH - RIGHT)
    values = [v for p in plot.points for v in (p.value, p.low, p.high) if v is not None]
    y = _Scale(values, HEIGHT - BOTTOM, TOP)
    parts = [*_axes(plot, x, y), *_front(plot, x, y)]
    for number, point in enumerate(plot.points, start=1):
        parts += _point(point, number, x, y)
    better = "lower" if plot.lower_is_better else "higher"
    words = f"{plot.metric} ({better} is better) against seconds of compute, one mark a run"
    return element(
        "svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=words, class_="plot"
    )


def _axes(plot: Plot, x: _Scale, y: _Scale) -> Iterator[Markup]:
    floor, wall = HEIGHT - BOTTOM, LEFT
    for value in y.ticks():
        place = y(value)
        yield element("line", x1=wall, x2=WIDTH - RIGHT, y1=place, y2=place, class_="grid")
        yield element("text", f"{value:.4g}", x=wall - 6, y=place + 4, text_anchor="end")
    for value in _decades(x):
        place = x(math.log10(value))
        yield element("line", x1=place, x2=place, y1=TOP, y2=floor, class_="grid")
        yield element("text", f"{value:,.4g}", x=place, y=floor + 15, text_anchor="middle")
    yield element("text", "seconds of compute", x=(WIDTH + LEFT) / 2, y=HEIGHT - 8,
                  text_anchor="middle")  # fmt: skip
    yield element("text", plot.metric, x=12, y=(floor + TOP) / 2, text_anchor="middle",
                  transform=f"rotate(-90 12 {(floor + TOP) / 2})")  # fmt: skip


def _decades(x: _Scale) -> list[float]:
    """1, 2 and 5 times powers of ten on the axis, or the powers alone where there are many."""
    powers = range(math.floor(x.low), math.ceil(x.high) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        ticks = [s * 10.0**p for p in powers for s in steps]
        ticks = [t for t in ticks if x.low <= math.log10(t) <= x.high]
        if len(ticks) >= 3:
            return ticks[:: math.ceil(len(ticks) / 6)]
    return [10 ** ((x.low + x.high) / 2)]


def _front(plot: Plot, x: _Scale, y: _Scale) -> Iterator[Markup]:
    """The steps along which nothing is better for less."""
    best = sorted((p for p in plot.points if p.front), key=lambda p: p.cost_s)
    if len(best) < 2:
        return
    path = f"M {x(math.log10(best[0].cost_s))} {y(best[0].value)}"
    for point in best[1:]:
        path += f" H {x(math.log10(point.cost_s))} V {y(point.value)}"
    yield element("path", d=path, class_="front")


def _point(point: Point, number: int, x: _Scale, y: _Scale) -> Iterator[Markup]:
    """A mark with its interval and number; shape and fill say whether it is on the front."""
    across, up = x(math.log10(point.cost_s)), y(point.value)
    if point.low is not None and point.high is not None:
        yield element(
            "line", x1=across, x2=across, y1=y(point.low), y2=y(point.high), class_="error"
        )
    if point.front:
        yield element("circle", cx=across, cy=up, r=5, class_="best")
    else:
        yield element("rect", x=across - 4.5, y=up - 4.5, width=9, height=9, class_="beaten")
    # Beside its mark, on the side where there is room.
    right = across < WIDTH - RIGHT - 20
    yield element(
        "text",
        str(number),
        x=across + (9 if right else -9),
        y=up - 7,
        text_anchor="start" if right else "end",
        class_="number",
    )
