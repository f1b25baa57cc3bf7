"""Names inside Markdown: text that stays text, whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from featx.files import printable

__all__ = ["escaped", "fenced", "table"]

# A backslash before any ASCII punctuation makes it text (CommonMark 0.31, section 2.4). What means
# something at the start of a line only is left: no name is put there. An underscore within a word,
# a colon within no address and no emoji's name mean nothing.
SPECIAL = re.compile(
    r"[\\`*\[\]<>#|~&$@]|(?<![^\W_])_|_(?![^\W_])|:(?=//|[\w+-]+:)|(?<=www)\.", re.IGNORECASE
)


def escaped(name: str) -> str:
    """``name`` as it shows in Markdown on one line, in a paragraph or a cell of a table."""
    return SPECIAL.sub(lambda found: "\\" + found[0], printable(name))


def fenced(text: str, language: str = "") -> str:
    """A block of code that ends where it should, whatever rows of backticks are in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; the first column is aligned to the left."""
    lines = [columns, ["---", *("---:" for _ in columns[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
