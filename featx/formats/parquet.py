"""Parquet, by pyarrow. Its text is UTF-8 only: other bytes of file names become ``\\xNN``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from featx.errors import MissingExtraError
from featx.files import atomic_path
from featx.formats._cells import plain_cell

try:
    import pyarrow
    from pyarrow import parquet
except ImportError:  # this module is imported when the output is named, before any work is done
    raise MissingExtraError("Parquet output", "parquet") from None

BATCH_ROWS = 16384


def _cell(value: Any) -> Any:
    value = plain_cell(value)
    if not isinstance(value, str):
        return value
    try:
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that no file name can hold
        return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    rows = iter(rows)
    batches = []
    while batch := list(islice(rows, BATCH_ROWS)):
        cells = zip(*([_cell(value) for value in row] for row in batch), strict=True)
        arrays = [pyarrow.array(list(column)) for column in cells]
        batches.append(pyarrow.table(arrays, names=list(columns)))
    if not batches:
        batches.append(pyarrow.table([pyarrow.nulls(0)] * len(columns), names=list(columns)))
    table = pyarrow.concat_tables(batches, promote_options="permissive")
    fields = [  # a column without a single value is an empty text column
        field.with_type(pyarrow.string()) if pyarrow.types.is_null(field.type) else field
        for field in table.schema
    ]
    table = table.cast(pyarrow.schema(fields))
    with atomic_path(path) as temporary:
        parquet.write_table(table, temporary)


PLUGIN = _write
