"""Manifest files to a list of records; what the columns mean is decided elsewhere."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from featx.data.delimited import parse_delimited
from featx.data.kinds import SNIFFED_BYTES, sniff
from featx.errors import DatasetError, MissingExtraError
from featx.files import printable
from featx.parsing import parse_json


@dataclass(frozen=True, slots=True)
class ManifestRecord:
    """One row of a manifest file.

    Parameters
    ----------
    where : str
        Its place for messages, for instance ``"line 7"``.
    values : dict
        Column -> value; a column may be missing.
    """

    where: str
    values: dict[str, Any]


@dataclass(frozen=True)
class ManifestTable:
    """A manifest file's columns, in order, and its records."""

    columns: list[str]
    records: list[ManifestRecord]


def is_manifest_name(name: str) -> bool:
    """Whether a file of this name is read as a manifest."""
    return _extension(name) in _READERS


def read_table(path: str) -> ManifestTable:
    """Read a CSV, TSV, JSONL or Parquet file.

    Text is UTF-8 with or without a byte-order mark (or UTF-16 with one); bytes that are not
    UTF-8 become surrogate escapes, as in file names.

    Raises
    ------
    DatasetError
        The file cannot be read or parsed, or a record has more or fewer fields than the header.
    MissingExtraError
        Parquet without pyarrow.
    """
    try:
        return _READERS[_extension(path)](Path(path))
    except OSError as error:
        raise DatasetError(
            f"Cannot read manifest '{printable(path)}': {error.strerror or error}."
        ) from None


def read_lines(path: str) -> list[str]:
    """The lines of a text file that hold anything, decoded as `read_table` does.

    Raises
    ------
    DatasetError
        The file cannot be read.
    """
    try:
        text = _text(Path(path))
    except OSError as error:
        raise DatasetError(
            f"Cannot read list '{printable(path)}': {error.strerror or error}."
        ) from None
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name, not a path


def _text(path: Path) -> str:
    """The text of a file.

    Raises
    ------
    DatasetError
        It is no text: another kind of file, empty, or in an encoding that is not known.
    """
    data = path.read_bytes()
    if not data.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        raise _malformed(path, "the file", "it is empty")
    kind = sniff(data[:SNIFFED_BYTES])
    if kind is not None:
        raise _malformed(path, "the file", f"it is a {kind.noun}, not a table",
                         "Export the table as CSV in UTF-8.")  # fmt: skip
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise _malformed(path, "the file", f"not whole UTF-16: {error.reason}") from None
        if "\0" not in text[:SNIFFED_BYTES]:
            return text
    if b"\0" in data[:SNIFFED_BYTES]:
        raise _malformed(path, "the file", "it holds zero bytes, as UTF-32 and unmarked UTF-16 do",
                         "Save it as UTF-8.")  # fmt: skip
    return data.decode("utf-8-sig", "surrogateescape")


def _read_delimited(path: Path, separator: str | None = None) -> ManifestTable:
    try:
        columns, lines = parse_delimited(_text(path), separator)
    except DatasetError as error:
        where, _, problem = error.message.partition(": ")
        raise _malformed(path, where, problem, error.hint) from None
    return ManifestTable(columns, [ManifestRecord(where, dict(values)) for where, values in lines])


def _read_jsonl(path: Path) -> ManifestTable:
    """One JSON object a line; the columns are all keys in order of appearance."""
    records = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = parse_json(line)
        except ValueError as error:
            kind = "not JSON: " if isinstance(error, json.JSONDecodeError) else ""
            raise _malformed(path, f"line {number}", f"{kind}{error}") from None
        if not isinstance(values, dict):
            raise _malformed(path, f"line {number}", "expected a JSON object, {...}",
                             "Write one object per line, without an enclosing list.")  # fmt: skip
        for key, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                problem = f"key {key!r} holds {json.dumps(value)}, which is not JSON; write null"
                raise _malformed(path, f"line {number}", problem)
        records.append(ManifestRecord(f"line {number}", values))
    columns = list(dict.fromkeys(key for record in records for key in record.values))
    return ManifestTable(columns, records)


def _read_parquet(path: Path) -> ManifestTable:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError(f"Reading '{printable(str(path))}'", "parquet") from None
    data = path.read_bytes()
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()
        _refuse_repeated(path, table.column_names)
        rows = table.to_pylist()
    except (pa.ArrowException, ValueError, OSError) as error:
        raise _malformed(path, "the file", f"not valid Parquet: {str(error).strip()}") from None
    return ManifestTable(
        table.column_names,
        [ManifestRecord(f"row {i}", values) for i, values in enumerate(rows, start=1)],
    )


def _refuse_repeated(path: Path, columns: list[str]) -> None:
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise _malformed(path, "the header", f"column {repeated[0]!r} appears more than once")


def _malformed(path: Path, where: str, problem: str, hint: str | None = None) -> DatasetError:
    return DatasetError(f"Manifest '{printable(str(path))}', {where}: {problem}.", hint=hint)


_READERS: dict[str, Callable[[Path], ManifestTable]] = {
    ".csv": _read_delimited,
    ".tsv": partial(_read_delimited, separator="\t"),
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
}
