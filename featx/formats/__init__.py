"""Tables on disk: one module per file extension, each with a ``PLUGIN`` that writes rows.

A writer is ``write(path, columns, rows)``: ``columns`` names, ``rows`` an iterable of equally long
sequences of text, numbers, booleans or None. It writes a temporary file and renames it, so that
``path`` is whole or absent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from featx.errors import UsageError
from featx.files import make_directory, printable
from featx.ours import FileKind
from featx.outputs import Claims, Output
from featx.registry import Registry
from featx.system_errors import KEPT, writing

__all__ = ["FORMATS", "find_writer", "table_output", "write_claimed", "write_rows"]

Writer = Callable[[Path, Sequence[str], Iterable[Sequence[Any]]], None]


def _fault(name: str, plugin: Any) -> str | None:
    return None if callable(plugin) else f"it is a {type(plugin).__name__}, not a function"


FORMATS = Registry("featx.formats", __path__[0], "output format", fault=_fault)


def find_writer(path: str | os.PathLike[str]) -> Writer:
    """Find the writer for ``path`` by its extension, before any work is done.

    Raises
    ------
    UsageError
        The extension is unknown.
    MissingExtraError
        The format needs a package that is not installed.
    """
    target = Path(path)
    name = target.suffix[1:].lower()
    if name not in FORMATS.names():
        known = ", ".join(f".{name}" for name in FORMATS.names())
        raise UsageError(
            f"The output {printable(str(target))!r} has the extension "
            f"{printable(target.suffix)!r}. Choose from: {known}."
        )
    writer: Writer = FORMATS.get(name)
    return writer


def write_rows(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    overwrite: bool = False,
) -> None:
    """Write a table in the format that the extension of ``path`` names.

    Parameters
    ----------
    path : path
        Ends in ``.csv``, ``.jsonl`` or ``.parquet``.
    columns : sequence of str
        Column names.
    rows : iterable of sequences
        Text, numbers, booleans or None (and NaN), which is an empty cell.
    overwrite : bool, default False
        Replace a file that is there; the old one stays until the new one is whole.

    Raises
    ------
    UsageError
        The extension is unknown, or ``path`` exists and ``overwrite`` is False.
    MissingExtraError
        The format needs a package that is not installed.
    OSError
        The disk is full or the folder cannot be written; an old file is untouched.
    """
    target, write = Path(path), find_writer(path)
    if os.path.lexists(target) and not overwrite:
        raise UsageError(f"The output {printable(str(target))!r} exists already.")
    make_directory(target.parent)
    write(target, columns, rows)


def table_output(
    path: str | os.PathLike[str] | None, kind: FileKind, overwrite: bool, *, flag: str = "-o"
) -> list[Output]:
    """The table that a command was asked for, to be claimed; none without a ``path``.

    Parameters
    ----------
    path : path or None
        Ends in ``.csv``, ``.jsonl`` or ``.parquet``.
    kind : FileKind
        What may be replaced.
    overwrite : bool
        Whether it may be replaced at all.
    flag : str, default '-o'
        What names the table on the command line, for sentences.

    Raises
    ------
    UsageError, MissingExtraError
        See `find_writer`.
    """
    if path is None:
        return []
    find_writer(path)
    return [Output(path, flag, kind, overwrite)]


def write_claimed(
    claims: Claims,
    path: str | os.PathLike[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    what: str = "the table",
    kept: str = KEPT,
) -> str:
    """Write a table to the claimed ``path``, and return where it is.

    Parameters
    ----------
    claims : Claims
        That ``path`` is one of.
    path : path
    columns, rows
        As for `write_rows`.
    what, kept : str
        As for `featx.system_errors.writing`: what is written, and a sentence on what is not lost.

    Raises
    ------
    OSError
        Noted with ``what`` and ``kept``, as by `featx.system_errors.writing`.
    """
    place = claims.place(path)
    with writing(what, place, kept=kept):
        write_rows(place, columns, rows, overwrite=True)
    return os.fspath(place)
