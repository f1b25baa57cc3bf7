"""CSV that spreadsheets cannot mistake for formulas and that keeps every byte of a file name.

UTF-8, comma, ``\\n``. A text cell beginning with one of ``= + - @``, their full-width forms, tab,
CR, LF or an apostrophe gets one apostrophe in front (OWASP, "CSV injection"). To read back: drop
one leading apostrophe from a cell that begins with one. Numbers are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from featx.files import atomic_path
from featx.formats._cells import plain_cell

__all__ = ["escape"]

RISKY = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "'")
QUOTED = frozenset(',;"\t\r\n')  # ";" and tab because spreadsheets of some locales split there


def escape(text: str) -> str:
    """Return ``text`` so that no spreadsheet takes it for a formula; see the module."""
    return f"'{text}" if text.startswith(RISKY) else text


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
    text = ",".join(map(_cell, row)) + "\n"
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("xb") as stream:
        stream.write(_line(columns))
        stream.writelines(map(_line, rows))


PLUGIN = _write
