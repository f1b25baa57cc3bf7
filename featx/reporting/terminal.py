"""Blocks as a person reads them in a terminal: titles, tables and sentences on stdout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from featx import console
from featx.files import printable
from featx.numbers import cell
from featx.reporting.blocks import Block, Chapter, Heading, Paragraph, Points, Table, Text, readable


def show(blocks: Sequence[Block]) -> None:
    """Print the blocks; figures, pictures and empty sections are left out."""
    for place, block in enumerate(readable(blocks)):
        match block:
            case Chapter(_, title, inside):
                console.text("\n" * (place > 0) + printable(title))
                show(inside)
            case Heading(text):
                console.text("\n" * (place > 0) + printable(text))
            case Paragraph(words):
                console.text(_line(words))
            case Points(texts):
                console.text("\n".join(f"→ {_line(words)}" for words in texts))
            case Table(columns, rows):
                console.table("", [*map(printable, columns)], [[*map(_plain, r)] for r in rows])


def _line(text: Text) -> str:
    return printable("".join(text))


def _plain(value: Any) -> Any:
    """Numbers stay numbers, which align right; an interval is text."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return printable(cell(value))
