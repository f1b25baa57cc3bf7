"""CSV that spreadsheets cannot mistake for formulas and that keeps every byte of a file name.

UTF-8, comma, ``\\n``. A text cell beginning with one of ``= + - @``, their full-width forms, tab,
CR, LF or an apostrophe gets one apostrophe in front (OWASP, "CSV injection"). To read back: drop
one leading apostrophe from a cell that begins with one. Numbers are left as they are. What is read
back is the text that was written, but for lone surrogates that stand for no byte of a file name.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from featx.files import atomic_path
from featx.formats._cells import plain_cell

RISKY = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "'")
QUOTED = frozenset(',;"\t\r\n')  # ";" and tab because spreadsheets of some locales split there


def escape(text: str) -> str:
    """Return ``text`` so that no spreadsheet takes it for a formula; see the module."""
    return f"'{text}" if text.startswith(RISKY) else text


def unescape(cell: str) -> str:
    """The text that `escape` made a cell of; numbers are as they were."""
    return cell.removeprefix("'")


def parse_rows(data: bytes) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of text, as they were before they were written; an empty cell is ``""``.

    Raises
    ------
    ValueError
        It is not CSV, or a row is longer or shorter than the first line; the message says where.
    """
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    reader = csv.reader(text, strict=True)
    columns: list[str] = []
    rows: list[list[str]] = []
    try:
        for cells in filter(None, reader):
            row = list(map(unescape, cells))
            if not columns:
                columns = row
                continue
            if len(row) != len(columns):
                raise ValueError(f"row {len(rows) + 1} has {len(row)} of {len(columns)} cells")
            rows.append(row)
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is not CSV ({error})") from None
    return columns, rows


def _cell(value: Any) -> str:
    value = plain_cell(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    text = escape(value)
    if QUOTED.isdisjoint(text) and text == text.strip():
        return text
    return '"' + text.replace('"', '""') + '"'


def _line(row: Sequence[Any]) -> bytes:
    """Undecodable bytes of file names as those very bytes, other lone surrogates as ``\\udXXX``."""
    text = (",".join(map(_cell, row)) or '""') + "\n"  # an empty line would be no row
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("xb") as stream:
        stream.write(_line(columns))
        stream.writelines(map(_line, rows))


PLUGIN = _write
