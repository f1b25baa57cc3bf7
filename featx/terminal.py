"""What a terminal is and has: its width, its colours, and text and tables that fit into it."""

from __future__ import annotations

import os
import re
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

DEFAULT_COLUMNS = 80
LEAST_WORD = 24  # characters of a table's text that are kept together, or half a line
GAP = 2  # between the columns of a table
_CODES = {"error": "1;31", "warning": "33", "chosen": "1;32", "faint": "2"}
#: A command inside a sentence, which no line break may cut: it is there to be pasted.
_COMMAND = re.compile(r"(?:^\s*|(?<=: )|(?<=`))(?:\$ )?(?:featx|pip|tensorboard|ray) [^`\n]+", re.M)
_TOGETHER = re.compile(r"\[[^\]]*\]|→ \S|\d %")  # an interval, an arrow and its word, a percentage
_PERCENT = re.compile(r"(?<=\d) (?=%)")
_HARD = "\N{NO-BREAK SPACE}"


def is_terminal(stream: Any) -> bool:
    """Whether a person sees what is written on ``stream`` at once."""
    try:
        return stream is not None and bool(stream.isatty())
    except ValueError:  # closed
        return False


def columns_of(stream: Any) -> int:
    """Characters in a line of the terminal that ``stream`` is: ``$COLUMNS``, else as it says."""
    try:
        own = os.get_terminal_size(stream.fileno()).columns
    except (AttributeError, OSError, ValueError):
        own = 0
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return own or shutil.get_terminal_size((DEFAULT_COLUMNS, 24)).columns


def has_colour(stream: Any) -> bool:
    """Whether to write in colour: on a terminal that has it, unless the environment says otherwise.

    ``NO_COLOR`` wins, then ``FORCE_COLOR`` and ``CLICOLOR_FORCE`` (also for pipes and files), then
    ``CLICOLOR=0`` and ``TERM=dumb``; see https://no-color.org and https://force-color.org.
    """
    asked = os.environ.get
    if asked("NO_COLOR"):
        return False
    if any(asked(name, "") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    if asked("CLICOLOR") == "0" or asked("TERM") == "dumb":
        return False
    return is_terminal(stream)


def painted(text: str, kind: str, stream: Any) -> str:
    """``text`` in the colour of its kind, where ``stream`` has colours.

    Kinds are ``error``, ``warning``, ``chosen`` and ``faint``.
    """
    return f"\033[{_CODES[kind]}m{text}\033[0m" if has_colour(stream) else text


def wrapped(text: str, stream: Any) -> str:
    """``text`` in lines of the terminal's width; as it is where ``stream`` is none.

    Commands stay whole, so that they can be pasted, and so do words that are too long.
    """
    if not is_terminal(stream):
        return text
    width = columns_of(stream)
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _HARD), text)
    lines = [_wrapped_line(line, width) for line in whole.split("\n")]
    return "\n".join(lines).replace(_HARD, " ")


def _wrapped_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    line = _PERCENT.sub(_HARD, line)
    indent = re.match(r"\s*(?:→ )?", line)
    assert indent is not None
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * indent.end(),
        break_long_words=False,
        break_on_hyphens=False,
    )


def fitted_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool],
    width: int | None,
) -> list[list[str]]:
    """A table as lines: those of its head, then those of each row.

    Parameters
    ----------
    columns : sequence of str
        Heads.
    rows : sequence of sequence of str
        Cells.
    right : sequence of bool
        Which columns align right.
    width : int or None
        What the lines should fit into: heads and texts are broken into several lines, then columns
        that are still too many stand below each other, each time beside the first one. None keeps
        one line a row.
    """
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    if width is None or _total(widths) <= width:
        return _lines(columns, rows, right, widths)
    least = [
        min(
            max(_longest_word(cell) for cell in column),
            width if to_right else max(LEAST_WORD, width // 2),
        )
        for column, to_right in zip(zip(columns, *rows, strict=True), right, strict=True)
    ]
    if len(least) > 1:  # the first column and any other must fit beside each other
        least[0] = min(least[0], max(width - GAP - LEAST_WORD, (width - GAP) // 2))
        least[1:] = [min(each, width - GAP - least[0]) for each in least[1:]]
    while _total(widths) > width and widths != least:
        widest = max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))
        widths[widest] -= 1
    if _total(widths) <= width:
        return _lines(columns, rows, right, widths)
    found: list[list[str]] = []
    for chosen in _blocks(least, width):
        part = [[row[i] for i in chosen] for row in rows]
        lines = _lines(
            [columns[i] for i in chosen],
            part,
            [right[i] for i in chosen],
            [least[i] for i in chosen],
        )
        found += [[""], *lines] if found else lines
    return found


def _blocks(widths: Sequence[int], width: int) -> list[list[int]]:
    """The columns that stand beside the first one together."""
    blocks: list[list[int]] = [[0]]
    for i in range(1, len(widths)):
        if _total([widths[j] for j in (*blocks[-1], i)]) > width and len(blocks[-1]) > 1:
            blocks.append([0])
        blocks[-1].append(i)
    return blocks


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _longest_word(cell: str) -> int:
    return max(map(len, _kept_together(cell).split(" ")))  # a hard space holds words together


def _kept_together(cell: str) -> str:
    return _TOGETHER.sub(lambda found: found[0].replace(" ", _HARD), cell)


def _lines(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool],
    widths: Sequence[int],
) -> list[list[str]]:
    rule = [(GAP * " ").join("─" * width for width in widths)]
    return [_row(columns, right, widths), rule, *(_row(row, right, widths) for row in rows)]


def _row(cells: Sequence[str], right: Sequence[bool], widths: Sequence[int]) -> list[str]:
    """The lines of one row."""
    parts = [
        [cell]
        if len(cell) <= width
        else [part.replace(_HARD, " ") for part in textwrap.wrap(_kept_together(cell), width)]
        for cell, width in zip(cells, widths, strict=True)
    ]
    lines = []
    for k in range(max(map(len, parts))):
        padded = (
            part[k].rjust(width) if to_right else part[k].ljust(width)
            for part, width, to_right in zip(
                [[*part, *[""] * (k + 1 - len(part))] for part in parts], widths, right, strict=True
            )
        )
        lines.append((GAP * " ").join(padded).rstrip())
    return lines
