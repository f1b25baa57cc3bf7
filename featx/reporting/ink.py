"""Colours: those of data, which serve on light and dark paper, and those of lines and words."""

from __future__ import annotations

from dataclasses import dataclass

#: Okabe and Ito, "Color universal design", 2008, without yellow (unseen on white) and black
#: (unseen on dark); told apart by all eyes.
HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
ACCENT = HUES[0]
DASHES = ("-", "--", "-.")


@dataclass(frozen=True)
class Ink:
    """Colours of words, ticks and the grid."""

    ink: str
    soft: str
    line: str
    paper: str
    accent: str


#: For files.
PRINTED = Ink(ink="#1b1f24", soft="#57606a", line="#d0d7de", paper="#ffffff", accent=ACCENT)
#: For the page: colours that nothing else has, each replaced by a variable of its style.
INLINE = Ink(ink="#010203", soft="#040506", line="#070809", paper="#0a0b0c", accent="#0d0e0f")
VARIABLES = {
    INLINE.ink: "var(--ink)",
    INLINE.soft: "var(--soft)",
    INLINE.line: "var(--line)",
    INLINE.paper: "var(--paper)",
    INLINE.accent: "var(--mark)",
}


def hue(k: int) -> str:
    """Colour of the series ``k``."""
    return HUES[k % len(HUES)]


def dashes(k: int) -> str:
    """Line style of the series ``k``.

    No two of 18 agree in colour and style, and neighbours differ in both.
    """
    return DASHES[(k + k // len(HUES)) % len(DASHES)]
