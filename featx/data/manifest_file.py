"""A manifest file to rows: meanings of its columns, checks, and repeated rows."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from featx.config import DatasetConfig
from featx.data.columns import Columns, find_columns
from featx.data.containment import Root
from featx.data.manifest import SPLITS, Manifest, Row, Split
from featx.data.table import Record, read_table
from featx.errors import DatasetError, UsageError, nearest
from featx.files import printable

__all__ = ["read_manifest_file"]


def read_manifest_file(config: DatasetConfig, *, labelled: bool) -> Manifest:
    """Read a CSV, TSV, JSONL or Parquet manifest.

    Parameters
    ----------
    config : DatasetConfig
        ``dataset`` is the file; ``root`` defaults to the folder it lies in.
    labelled : bool
        False reads paths only.

    Raises
    ------
    UsageError
        The root is not a folder.
    DatasetError
        A path leads outside the root, rows contradict each other, a value cannot be understood,
        or only some rows have a group or a split. The message names file and line.
    """
    source = config.dataset
    folder = config.root if config.root is not None else str(Path(source).parent)
    if not Path(folder).is_dir():
        raise UsageError(f"The root '{printable(folder)}' is not a folder.")
    table = read_table(source)
    root = Root(folder)
    seen: dict[str, tuple[Row, str]] = {}
    repeated = 0
    columns = find_columns(table.columns, config)
    for record in table.records:
        row = _row(record, columns, root, source, labelled)
        first, where = seen.setdefault(row.id, (row, record.where))
        if first != row:
            raise _contradiction(source, first, where, row, record.where)
        repeated += where != record.where
    rows = tuple(row for row, _ in seen.values())
    for meaning in ("group", "split"):
        _require_all_or_none(source, rows, meaning)
    ignored = {"repeated row": repeated} if repeated else {}
    return Manifest(root=root.folder, source=source, rows=rows, ignored=ignored)


def _row(record: Record, columns: Columns, root: Root, source: str, labelled: bool) -> Row:
    """One record as a row; every complaint names the file and line."""
    try:
        path = _value(record, columns.path)
        if path is None:
            raise DatasetError(f"column {columns.path!r} is empty")
        id, absolute = root.locate(path)
        if not labelled:
            return Row(id, absolute)
        return Row(
            id,
            absolute,
            label=_name(record, columns.label),
            group=_name(record, columns.group),
            split=_split(_value(record, columns.split)),
        )
    except DatasetError as error:
        raise DatasetError(
            f"Manifest '{printable(source)}', {record.where}: {error.message}.", hint=error.hint
        ) from None


def _value(record: Record, column: str | None) -> str | None:
    """A cell as text; None where it is empty.

    Labels and groups are names: whole numbers become their digits, and other numbers are
    refused, because 0.1 and 0.10 would silently be one class.
    """
    value: Any = None if column is None else record.values.get(column)
    if isinstance(value, bytes):
        value = os.fsdecode(value)
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and value.is_integer():  # what pandas makes of 3 beside a gap
        value = int(value)
    if isinstance(value, int):
        value = str(value)
    if value is not None and not isinstance(value, str):
        kind = type(value).__name__
        raise DatasetError(f"column {column!r} must hold text or whole numbers, got {kind}")
    return value or None


def _name(record: Record, column: str | None) -> str | None:
    """A label or group: no NUL, which numpy would cut off, merging two classes."""
    name = _value(record, column)
    if name is not None and "\0" in name:
        raise DatasetError(f"column {column!r} holds a NUL character: {name!r}")
    return name


def _split(value: str | None) -> Split | None:
    if value is None:
        return None
    split = SPLITS.get(value.strip().lower())
    if split is None:
        guess = nearest(value.strip().lower(), SPLITS)
        raise DatasetError(
            f"unknown split {value!r}; allowed are {', '.join(SPLITS)}",
            hint=f"Did you mean {guess!r}?" if guess else None,
        )
    return split


def _contradiction(source: str, first: Row, where: str, row: Row, here: str) -> DatasetError:
    """Two rows of one image that say different things."""
    facts = [
        f"{name} {getattr(first, name)!r} and {getattr(row, name)!r}"
        for name in ("label", "group", "split")
        if getattr(first, name) != getattr(row, name)
    ]
    return DatasetError(
        f"Manifest '{printable(source)}': '{printable(row.id)}' has {', '.join(facts)} "
        f"({where} and {here}).",
        hint="Each image may be listed once, with one label.",
    )


def _require_all_or_none(source: str, rows: tuple[Row, ...], meaning: str) -> None:
    """Half a grouping or half a split has no honest meaning."""
    without = [row.id for row in rows if getattr(row, meaning) is None]
    if 0 < len(without) < len(rows):
        raise DatasetError(
            f"Manifest '{printable(source)}': {len(without)} of {len(rows)} rows have no "
            f"{meaning}, for instance '{printable(without[0])}'.",
            hint=f"Give every row a {meaning}, or none.",
        )
