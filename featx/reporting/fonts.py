"""Fonts for names in any script: an installed one for what DejaVu Sans does not have."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from featx import console
from featx.files import printable

USUAL = "DejaVu Sans"  # comes with matplotlib
MOST_FONTS = 400  # that are looked into
MOST_NAMED = 3

_told = False


def texts_of(canvas: Any) -> list[str]:
    """What is written on a figure of matplotlib, the names on its axes too."""
    from matplotlib.text import Text

    texts = [text.get_text() for text in canvas.findobj(Text)]
    for axes in canvas.axes:
        texts += [t.get_text() for t in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    return texts


def families_for(texts: Iterable[str]) -> list[str]:
    """The usual font and installed ones that have what it lacks; empty where it has everything.

    Characters that no font has are drawn as boxes; that is said, once.
    """
    texts = list(texts)
    characters = {c for text in texts for c in text if c.isprintable() and not c.isascii()}
    missing = frozenset(map(ord, characters)) - _covered(_path(USUAL))
    if not missing:
        return []
    families, left = _fallbacks(missing)
    if left:
        _tell([text for text in texts if left.intersection(map(ord, text))])
    return [USUAL, *families] if families else []


@lru_cache(maxsize=64)
def _fallbacks(missing: frozenset[int]) -> tuple[list[str], frozenset[int]]:
    """Families that have some of the characters, the best first, and what none has."""
    from matplotlib.font_manager import fontManager

    plain = [
        font
        for font in fontManager.ttflist
        if font.style == "normal"
        and str(font.weight) in _WEIGHTS
        and "Last Resort" not in font.name
    ]
    found: list[tuple[int, str, frozenset[int]]] = []
    for font in sorted(plain, key=lambda f: f.name)[:MOST_FONTS]:
        if has := missing & _covered(font.fname):
            found.append((-len(has), font.name, has))
    families: list[str] = []
    for _, name, has in sorted(found):
        if has & missing:
            families.append(name)
            missing -= has
    return families, missing


_WEIGHTS = {"400", "normal", "regular", "book", "500", "medium"}


def _path(family: str) -> str:
    from matplotlib.font_manager import FontProperties, findfont

    return str(findfont(FontProperties(family=[family])))


@lru_cache(maxsize=MOST_FONTS)
def _covered(path: str) -> frozenset[int]:
    """The characters that a font file has; none where it cannot be read (a bitmap font, say)."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (RuntimeError, OSError, ValueError):
        return frozenset()


def _tell(names: list[str]) -> None:
    """Say once for all figures whose characters are boxes."""
    global _told
    if not _told:
        _told = True
        shown = ", ".join(printable(name) for name in dict.fromkeys(names[:MOST_NAMED]))
        console.warn(
            f"no installed font has all characters of {shown}: PNG figures show boxes for them. "
            "Install one (Noto Sans, for instance), or use the SVG figures or the page."
        )
