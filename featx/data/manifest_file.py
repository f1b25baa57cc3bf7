"""A manifest file to rows: meanings of its columns, checks, and repeated rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from featx.config import DatasetConfig
from featx.data.cells import cell, is_no_value
from featx.data.columns import Columns, find_columns
from featx.data.containment import Root
from featx.data.kept_columns import Keep
from featx.data.manifest import SPLITS, Manifest, Row, Split
from featx.data.table import ManifestRecord, read_table
from featx.errors import DatasetError, UsageError, nearest
from featx.files import printable


def read_manifest_file(
    config: DatasetConfig,
    *,
    labelled: bool,
    grouped: bool = True,
    keep: Keep | Sequence[str] = (),
) -> Manifest:
    """Read a CSV, TSV, JSONL or Parquet manifest.

    Parameters
    ----------
    config : DatasetConfig
        ``dataset`` is the file; ``root`` defaults to the folder it lies in.
    labelled : bool
        False reads paths only, and groups where ``grouped`` is True.
    grouped : bool, default True
    keep : Keep, or sequence of str
        Other columns to read; see `featx.data.kept_columns`.

    Raises
    ------
    UsageError
        The root is not a folder.
    UnknownNameError
        There is no column of a name in ``keep``.
    DatasetError
        A path leads outside the root, rows contradict each other, a value cannot be understood,
        or only some rows have a group or a split. The message names file and line.
    """
    source = config.dataset
    folder = config.root if config.root is not None else str(Path(source).parent)
    if not Path(folder).is_dir():
        raise UsageError(f"The root '{printable(folder)}' is not a folder.")
    table = read_table(source)
    root = Root(folder, beside=str(Path(source).parent))
    seen: dict[str, tuple[Row, str]] = {}
    repeated = 0
    columns = find_columns(table.columns, config)
    Keep.of(keep).require(table.columns, source)
    others = Keep.of(keep).in_table(table.columns)
    for record in table.records:
        row = _row(record, columns, root, source, (labelled, grouped))
        row = replace(row, extra=tuple((name, _other(record, name)) for name in others))
        first, where = seen.setdefault(row.id, (row, record.where))
        if first != row:
            raise _contradiction(source, first, where, row, record.where)
        repeated += where != record.where
    rows = tuple(row for row, _ in seen.values())
    for meaning in ("group", "split"):
        _require_all_or_none(source, rows, meaning)
    ignored = {"repeated row": repeated} if repeated else {}
    remarks: tuple[str, ...] = ()
    if labelled:
        remarks = (*_words_for_nothing(table.records, columns), *_not_utf8(rows, source))
    return Manifest(root.folder, source, rows, ignored, remarks=remarks)


def _words_for_nothing(records: list[ManifestRecord], columns: Columns) -> Iterator[str]:
    """How many labels are a word such as ``nan`` that counts as none."""
    for column in (columns.label, columns.group, columns.split):
        texts = Counter(
            text
            for record in records
            if isinstance(text := record.values.get(column or ""), str) and is_no_value(text)
        )
        del texts[""]
        if texts:
            shown = ", ".join(f"'{printable(text)}' ({n:,})" for text, n in texts.most_common(5))
            yield f"Column '{printable(str(column))}': {shown} counts as an empty cell."


def _not_utf8(rows: Sequence[Row], source: str) -> Iterator[str]:
    """A name with bytes of another encoding, as spreadsheets on Windows write."""
    for row in rows:
        for name in (row.label, row.group):
            if name is not None and any("\udc80" <= c <= "\udcff" for c in name):
                yield (
                    f"'{printable(source)}' is not UTF-8: the name '{printable(name)}' in it is "
                    'not readable. Save the list as UTF-8 ("CSV UTF-8" in Excel).'
                )
                return


def _row(
    record: ManifestRecord, columns: Columns, root: Root, source: str, reads: tuple[bool, bool]
) -> Row:
    """One record as a row; every complaint names the file and line."""
    labelled, grouped = reads
    try:
        path = _value(record, columns.path, words=False)
        if path is None:
            raise DatasetError(f"column {columns.path!r} is empty")
        id, absolute = root.locate(path)
        group = _name(record, columns.group) if grouped else None
        if not labelled:
            return Row(id, absolute, group=group)
        return Row(
            id,
            absolute,
            label=_name(record, columns.label),
            group=group,
            split=read_split(_value(record, columns.split)),
        )
    except DatasetError as error:
        end = "" if error.message.endswith("?") else "."
        raise DatasetError(
            f"Manifest '{printable(source)}', {record.where}: {error.message}{end}",
            hint=error.hint,
        ) from None


def _value(record: ManifestRecord, column: str | None, *, words: bool = True) -> str | None:
    if column is None:
        return None
    return cell(record.values.get(column), column, words=words)


def _other(record: ManifestRecord, column: str) -> str | None:
    """A cell of another column, which may be a number with a fraction."""
    value = record.values.get(column)
    fraction = isinstance(value, float) and not math.isnan(value) and not value.is_integer()
    return str(value) if fraction else _value(record, column)


def _name(record: ManifestRecord, column: str | None) -> str | None:
    """A label or group: no NUL, which numpy would cut off, merging two classes."""
    name = _value(record, column)
    if name is not None and "\0" in name:
        raise DatasetError(f"column {column!r} holds a NUL character: {name!r}")
    return name


def read_split(value: str | None) -> Split | None:
    """A cell of the column of splits."""
    if value is None:
        return None
    split = SPLITS.get(value.strip().lower())
    if split is None:
        guess = nearest(value.strip().lower(), SPLITS)
        hint = f"Did you mean {guess!r}?" if guess else None
        if value.strip().lower() in ("eval", "evaluation"):
            hint = "Write val or test: val may be used for model selection, test is not."
        raise DatasetError(f"unknown split {value!r}; allowed are {', '.join(SPLITS)}", hint=hint)
    return split


def _contradiction(source: str, first: Row, where: str, row: Row, here: str) -> DatasetError:
    """Two rows of one image that say different things."""
    facts = [
        f"{name} {getattr(first, name)!r} and {getattr(row, name)!r}"
        for name in ("label", "group", "split")
        if getattr(first, name) != getattr(row, name)
    ]
    both = zip(first.extra, row.extra, strict=True)
    facts += [f"{name} {a!r} and {b!r}" for (name, a), (_, b) in both if a != b]
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
            hint=f"Give every row a {meaning}, or no row.",
        )
