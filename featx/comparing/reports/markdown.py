"""Markdown with tables, in which no name is taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from featx.comparing.layout import Plot, Table, lay_out

__all__ = ["PLUGIN"]

# A bracket is a link, picture or footnote only with what follows it.
MARKUP = re.compile(r"[\\`*_|~#$]|\](?=[(:\[])")
STARTS_A_BLOCK = re.compile(r"^(?=[-+=])|^(\d+)(?=[.)])")
ADDRESS = re.compile(r":(?=//)|(?<=www)\.|@", re.IGNORECASE)
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _write(document: Mapping[str, Any]) -> str:
    lines = ["# Comparison", ""]
    for block in lay_out(document):
        if isinstance(block, Plot):  # the table of costs says the same
            continue
        lines += [f"## {_text(block.title)}", ""]
        if isinstance(block, Table):
            lines += _table(block)
        else:
            lines += [f"- {_sentence(sentence)}" for sentence in block.sentences]
        lines.append("")
    return "\n".join(lines)


def _table(table: Table) -> Iterator[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    yield line([_text(name) for name in table.columns])
    yield line(["---" if i in table.words else "---:" for i in range(len(table.columns))])
    for row in table.rows:
        yield line([_text(cell) for cell in row])
    if table.note:
        yield ""
        yield _sentence(table.note)


def _text(text: str) -> str:
    """Text that shows as it is: no markup, HTML, link or formula comes of it."""
    text = "".join(ENTITIES.get(c, c) for c in text)
    text = MARKUP.sub(lambda found: "\\" + found[0], text)
    return ADDRESS.sub(lambda found: f"&#{ord(found[0])};", text)


def _sentence(text: str) -> str:
    """The same at the start of a line, where it must not begin a list or a rule."""
    return STARTS_A_BLOCK.sub(lambda found: f"{found[1] or ''}\\", _text(text))


PLUGIN = _write
