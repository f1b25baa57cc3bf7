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
from featx.registry import Registry

__all__ = ["FORMATS", "check_output", "check_place", "write_rows"]

FORMATS = Registry("featx.formats", __path__[0], "output format")

Writer = Callable[[Path, Sequence[str], Iterable[Sequence[Any]]], None]


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> Writer:
    """Find the writer for ``path`` by its extension, before any work is done.

    Missing parent folders are created.

    Raises
    ------
    UsageError
        The extension is unknown, ``path`` exists and ``overwrite`` is False, or its folder
        cannot be.
    """
    target = Path(path)
    shown = printable(str(target))
    name = target.suffix[1:].lower()
    if name not in FORMATS.names():
        known = ", ".join(f".{name}" for name in FORMATS.names())
        raise UsageError(
            f"The output {shown!r} has the extension {printable(target.suffix)!r}. "
            f"Choose from: {known}."
        )
    check_place(target, overwrite=overwrite)
    writer: Writer = FORMATS.get(name)
    return writer


def check_place(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Make sure that a file can be written as ``path``, of whatever kind, before any work is done.

    Missing parent folders are created.

    Raises
    ------
    UsageError
        ``path`` is a folder, exists and ``overwrite`` is False, or its folder cannot be.
    """
    target = Path(path)
    shown = printable(str(target))
    if target.is_dir():
        raise UsageError(f"The output {shown!r} is a folder.")
    if os.path.lexists(target) and not overwrite:
        raise UsageError(
            f"The output {shown!r} exists already.", hint="Choose another name, or --overwrite."
        )
    try:
        make_directory(target.parent)
    except OSError as error:
        raise UsageError(f"The output {shown!r} cannot be written: {error.strerror}.") from None
    if not target.parent.is_dir():
        raise UsageError(f"The output {shown!r} cannot be written: its folder is a file.")


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
        As `check_output`.
    MissingExtraError
        The format needs a package that is not installed.
    OSError
        The disk is full or the folder cannot be written; an old file is untouched.
    """
    check_output(path, overwrite=overwrite)(Path(path), columns, rows)
