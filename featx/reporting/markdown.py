"""Blocks as Markdown, in which every name stays text, whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from featx.files import printable
from featx.numbers import cell
from featx.reporting.blocks import (
    Block,
    Chapter,
    Code,
    CodeBlock,
    Heading,
    Paragraph,
    Points,
    Strong,
    Table,
    Text,
    readable,
)

# A backslash before any ASCII punctuation makes it text (CommonMark 0.31, section 2.4). An
# underscore within a word, a bracket that no link can follow, a colon within no address and no
# emoji's name mean nothing.
SPECIAL = re.compile(
    r"[\\`*<>#|~&$@]|\](?=[(:\[])|(?<![^\W_])_|_(?![^\W_])|:(?=//|[\w+-]+:)|(?<=www)\.",
    re.IGNORECASE,
)
#: What begins a list, a rule, a box to tick or a reference where a line begins with it.
STARTS_A_BLOCK = re.compile(r"^(?=[-+=\[])|^(\d+)(?=[.)])")


def markdown(title: str, blocks: Sequence[Block]) -> str:
    """The blocks under a heading; figures, pictures and empty sections are left out."""
    return "\n\n".join([f"# {escaped(title)}", *_all(blocks)]) + "\n"


def _all(blocks: Sequence[Block]) -> Iterator[str]:
    for block in readable(blocks):
        match block:
            case Chapter(_, title, inside):
                yield f"## {escaped(title)}"
                yield from _all(inside)
            case Heading(text, level):
                yield f"{'#' * level} {escaped(text)}"
            case Paragraph(text):
                yield _line(text)
            case Points(texts):
                yield "\n".join(f"- {_line(text)}" for text in texts)
            case Table():
                yield _table(block)
            case CodeBlock(text, language):
                yield fenced(text, language)


def _table(table: Table) -> str:
    marks = ["---" if i in table.words else "---:" for i in range(len(table.columns))]
    rows = [[escaped(cell(value)) for value in row] for row in table.rows]
    lines = [[escaped(name) for name in table.columns], marks, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _line(text: Text) -> str:
    """A line of text, which begins no list, rule or heading."""
    parts = [text] if isinstance(text, str) else text
    joined = "".join(_part(part) for part in parts).strip()  # four spaces begin a block of code
    return STARTS_A_BLOCK.sub(lambda found: f"{found[1] or ''}\\", joined)


def _part(part: str) -> str:
    if isinstance(part, Code):
        ticks = _ticks(part, 1)
        return f"{ticks}{printable(part)}{ticks}"
    return f"**{escaped(part)}**" if isinstance(part, Strong) else escaped(part)


def escaped(text: str) -> str:
    """``text`` as it shows in Markdown on one line, in a paragraph or a cell of a table."""
    return SPECIAL.sub(lambda found: "\\" + found[0], printable(text))


def fenced(text: str, language: str = "") -> str:
    """A block of code that ends where it should, whatever rows of backticks are in it."""
    fence = _ticks(text, 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _ticks(text: str, least: int) -> str:
    """More backticks than there are in a row in the text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))
