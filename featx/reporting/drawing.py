"""Figures drawn by matplotlib: as files, and as SVG inside a page."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any, NamedTuple

from featx.reporting.blocks import Figure
from featx.reporting.fonts import USUAL, families_for, texts_of
from featx.reporting.ink import INLINE, PRINTED, VARIABLES, Ink

DPI = 200  # of PNG files


def picture(figure: Figure, kind: str) -> bytes:
    """The figure as a file of the format ``kind``, ``"svg"`` or ``"png"``; always the same bytes.

    Parameters
    ----------
    figure : Figure
    kind : str
    """
    return _render(figure, PRINTED, kind)


class Inline(NamedTuple):
    """The content of an ``svg`` element, and its ``viewBox``."""

    inside: Any
    box: str


def inline_svg(figure: Figure) -> Inline:
    """The figure for a page, in the colours of the page around it."""
    from markupsafe import Markup

    text = _render(figure, INLINE, "svg").decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]", lambda m: VARIABLES.get(m[0], m[0]), text)
    # Ids are unique in a figure; in a page they must be among figures too.
    mark = figure.name.replace("_", "-")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{mark}-", text)
    found = re.search(r'<svg[^>]*viewBox="([^"]*)"[^>]*>(.*)</svg>', text, re.DOTALL)
    assert found is not None
    # matplotlib escapes what is written on a figure.
    return Inline(Markup(found[2]), found[1])


def _render(figure: Figure, ink: Ink, kind: str) -> bytes:
    """Draw the figure; once more with other fonts where the usual one lacks characters."""
    import matplotlib

    settings = _settings(figure, ink)
    with matplotlib.rc_context(settings):
        canvas = _drawn(figure, ink)
        # The text of an SVG stays text: whoever shows it has fonts of his own.
        families = [] if kind == "svg" else families_for(texts_of(canvas))
    with matplotlib.rc_context(settings | ({"font.family": families} if families else {})):
        if families:
            canvas = _drawn(figure, ink)
        buffer = io.BytesIO()
        # No date: the same run gives the same bytes.
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        with warnings.catch_warnings():  # of characters that no font has, said by families_for
            warnings.simplefilter("ignore", UserWarning)
            canvas.savefig(buffer, format=kind, dpi=DPI, metadata=metadata,
                           transparent=ink is INLINE)  # fmt: skip
    return buffer.getvalue()


def _drawn(figure: Figure, ink: Ink) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=figure.size)
    if figure.size == Figure.size:  # laying out costs more than drawing; the usual needs none
        canvas.subplots_adjust(left=0.15, bottom=0.125, right=0.975, top=0.975)
    else:
        canvas.set_layout_engine("constrained")
    FigureCanvasAgg(canvas)
    axes: Any = canvas.add_subplot()
    figure.draw(axes, ink)
    axes.spines[["top", "right"]].set_visible(False)
    return canvas


def _settings(figure: Figure, ink: Ink) -> Any:
    return {
        "svg.hashsalt": figure.name,
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.sans-serif": [USUAL],
        "font.size": 9,
        "text.parse_math": False,  # names of classes may hold dollar signs
        "text.color": ink.ink,
        "axes.labelcolor": ink.ink,
        "axes.edgecolor": ink.soft,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.facecolor": ink.paper,
        "figure.facecolor": ink.paper,
        "grid.color": ink.line,
        "grid.linewidth": 0.6,
        "xtick.color": ink.soft,
        "ytick.color": ink.soft,
        "legend.framealpha": 0.8,
        "legend.facecolor": ink.paper,
        "legend.edgecolor": "none",
        "lines.linewidth": 1.6,
    }
