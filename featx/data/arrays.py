"""Embeddings or features that a person has already, from memory or from a file, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from featx import console
from featx.config import DatasetConfig
from featx.data.array_columns import (
    digests,
    is_numeric,
    other_texts,
    plain_array,
    side_by_side,
    texts,
)
from featx.data.array_files import Table, read_columns
from featx.data.columns import SYNONYMS
from featx.data.kept_columns import OWN, Keep
from featx.data.manifest import Split
from featx.data.manifest_file import read_split
from featx.errors import DatasetError, UnknownNameError, UsageError
from featx.files import printable
from featx.types import IN_MEMORY, BoolArray, Float32Array, UInt8Array

#: Names by which columns that are no features are known; the first are those of featx's exports.
_NAMES: dict[str, tuple[str, ...]] = {
    "label": ("y", "labels", "targets", *SYNONYMS["label"]),
    "group": ("groups", *SYNONYMS["group"]),
    "split": ("splits", *SYNONYMS["split"]),
    "id": ("ids", "id", "name", "names", *SYNONYMS["path"]),
    "sha256": ("sha256",),
}
#: Arguments of `make_arrays` and flags of the command line for each of them.
_ASKED = {"label": "y", "group": "groups", "split": "splits", "id": "ids"}
_ROWS_OF_NUMBERS = ("X", "embeddings", "embedding", "features")
MOST_NAMED = 5


@dataclass(frozen=True)
class Arrays:
    """Rows of numbers with what is known of each.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
    ids : list of str
        Unique.
    labels, groups : list of str or None
        One a row, None where a row has none.
    splits : list of {"train", "val", "test"} or None
    sha256 : ndarray of shape (n, 32), uint8, or None
        Of the image that each row is the embedding of, where that is known.
    columns : tuple of str or None
        Names of the features, where each has one.
    source : str
        The file, or `featx.types.IN_MEMORY`.
    extra : mapping of str to list of str or None
        Other columns that were asked for, one value a row.
    """

    X: Float32Array
    ids: list[str]
    labels: list[str | None]
    groups: list[str | None]
    splits: list[Split | None]
    sha256: UInt8Array | None
    columns: tuple[str, ...] | None
    source: str
    extra: Mapping[str, list[str | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def finite(self) -> BoolArray:
        """Which rows hold neither NaN nor infinity, shape (n,)."""
        return np.asarray(np.isfinite(self.X).all(axis=1))

    def require_finite(self) -> None:
        """Refuse NaN and infinity.

        Raises
        ------
        DatasetError
            With the number of rows, and the first with its column.
        """
        bad = np.flatnonzero(~self.finite)
        if not len(bad):
            return
        column = int(np.flatnonzero(~np.isfinite(self.X[bad[0]]))[0])
        name = repr(self.columns[column]) if self.columns else f"{column}"
        raise DatasetError(
            f"{len(bad):,} of {len(self):,} rows hold NaN, infinity or a number beyond 32 bits, "
            f"the first {printable(self.ids[bad[0]])!r} in column {name}.",
            hint="Fill or drop what is missing before the fit.",
        )

    def labelled(self) -> Arrays:
        """The rows that have a label; a warning tells how many are left out.

        Raises
        ------
        DatasetError
            None has one.
        """
        kept = [i for i, label in enumerate(self.labels) if label is not None]
        if not kept:
            raise DatasetError(
                f"'{printable(self.source)}' has no labels, and fit needs them.",
                hint="Give y, or name the column of labels with --label-column.",
            )
        if len(kept) < len(self):
            without = console.counted(len(self) - len(kept), "row")
            console.warn(f"{without} without a label: left out of the fit")
        return replace(
            self,
            X=self.X[kept],
            sha256=None if self.sha256 is None else self.sha256[kept],
            ids=[self.ids[i] for i in kept],
            labels=[self.labels[i] for i in kept],
            groups=[self.groups[i] for i in kept],
            splits=[self.splits[i] for i in kept],
            extra={name: [values[i] for i in kept] for name, values in self.extra.items()},
        )


def read_arrays(
    config: DatasetConfig,
    *,
    labelled: bool = True,
    columns: Sequence[str] | None = None,
    keep: Keep | Sequence[str] = (),
) -> Arrays:
    """The rows of a file.

    Parameters
    ----------
    config : DatasetConfig
        ``columns`` and the names of the other columns are read.
    labelled : bool, default True
        False reads neither labels nor splits.
    columns : sequence of str, optional
        Names of the features that a model takes, in its order; rows of one array have no names.
    keep : Keep, or sequence of str
        Other columns to read, which are no features; see `featx.data.kept_columns`.

    Raises
    ------
    UsageError, DatasetError, UnknownNameError, MissingExtraError
        See `make_arrays` and `featx.data.array_files.read_columns`.
    """
    for name in ("root", "exclude", "group", "group_from"):
        if getattr(config, name):
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option} applies to images, but '{printable(config.dataset)}' holds arrays."
            )
    asked = {
        "label": config.label_column,
        "group": config.group_column,
        "split": config.split_column,
        "id": config.path_column,
    }
    table = read_columns(config.dataset)
    if columns and not table.keys() & set(columns):  # unnamed, as arrays in memory are
        columns = None if any(np.ndim(plain_array(v)) > 1 for v in table.values()) else columns
    meanings = _Meanings(asked, Keep.of(keep), labelled)
    return _arrays(table, meanings, columns or config.columns, config.dataset)


def make_arrays(
    X: Any,
    *,
    y: Any = None,
    groups: Any = None,
    ids: Any = None,
    splits: Any = None,
    columns: Sequence[str] | None = None,
    labelled: bool = True,
    keep: Keep | Sequence[str] = (),
) -> Arrays:
    """The rows of an array, a frame or a tensor.

    Parameters
    ----------
    X : array-like of shape (n, n_features), or frame
        Of a frame the columns of numbers that nothing else is.
    y, groups, ids, splits : array-like of shape (n,), or str, optional
        Values, or the name of a frame's column.
    columns : sequence of str, optional
        Names of a frame's features, or patterns such as ``f*``.
    labelled : bool, default True
        False reads neither labels nor splits.
    keep : Keep, or sequence of str
        As for `read_arrays`; of a frame.

    Raises
    ------
    UsageError, UnknownNameError
        A column is not there.
    DatasetError
        Not one row of numbers each, lengths that differ, or values that cannot be used.
    """
    given = {"label": y, "group": groups, "split": splits, "id": ids}
    table = _columns_of(X)
    framed = table is not None
    if table is None:
        if columns:
            raise UsageError("columns names a frame's columns, and X has none: it is an array.")
        table = {"X": X}
    asked: dict[str, str | None] = {}
    for meaning, value in given.items():
        if isinstance(value, str):
            if not framed:
                raise UsageError(
                    f"{_ASKED[meaning]}={value!r} names a column, and X is an array without names.",
                    hint="Give the values, or X as a frame.",
                )
            asked[meaning] = value
        elif value is not None:
            name = _ASKED[meaning]
            while name in table:  # a frame may have a column of that name, which is not meant
                name = f" {name}"
            table[name] = value
            asked[meaning] = name
    arrays = _arrays(table, _Meanings(asked, Keep.of(keep), labelled), columns, IN_MEMORY)
    index = getattr(X, "index", None)
    if "id" in asked or not framed or index is None or type(index).__name__ == "RangeIndex":
        return arrays
    return replace(arrays, ids=[str(one) for one in index]) if index.is_unique else arrays


def _columns_of(X: Any) -> Table | None:
    """The columns of a pandas or polars frame by name; None of anything else."""
    names = getattr(X, "columns", None)
    if names is None or not hasattr(X, "to_numpy"):
        return None
    called = [str(name) for name in names]
    if len(set(called)) < len(called):
        twice = next(name for name in called if called.count(name) > 1)
        raise DatasetError(f"The frame has several columns {twice!r}.")
    return {text: X[name] for text, name in zip(called, names, strict=True)}


@dataclass(frozen=True)
class _Meanings:
    """What columns are, besides features."""

    asked: Mapping[str, str | None]  # meaning -> the column that was named for it
    keep: Keep
    labelled: bool


def _arrays(
    table: Table, meanings: _Meanings, columns: Sequence[str] | None, source: str
) -> Arrays:
    """The rows of a table, some of whose columns have a meaning."""
    found = {
        meaning: _find(meaning, meanings.asked.get(meaning), table, columns)
        for meaning in _NAMES
        if meanings.labelled or meaning not in {"label", "split"}
    }
    meanings.keep.require(table, source)
    others = meanings.keep.in_table(table)
    for name in meanings.keep.asked:  # rows of numbers have no EXIF and no path
        if name not in (*OWN, *others):
            raise UnknownNameError("column", name, list(table))
    features = _features(table, {name for name in found.values() if name} | set(others), columns)
    X = side_by_side(table, features)
    known = {
        meaning: None if name is None else texts(table[name], name, len(X))
        for meaning, name in found.items()
    }
    ids = known["id"] or [str(i) for i in range(len(X))]
    _check_ids(ids, found["id"])
    nothing: list[Any] = [None] * len(X)
    return Arrays(
        X=X,
        ids=[str(one) for one in ids],
        labels=known.get("label") or nothing,
        groups=known["group"] or nothing,
        splits=_splits(known.get("split") or nothing),
        sha256=None if known["sha256"] is None else digests(known["sha256"]),
        columns=tuple(features) if X.shape[1] == len(features) else None,
        source=source,
        extra={name: other_texts(table[name], name, len(X)) for name in others},
    )


def _find(
    meaning: str, asked: str | None, table: Table, columns: Sequence[str] | None
) -> str | None:
    """The column of one meaning: the one asked for, or the only one that is called so."""
    if asked is not None:
        if asked not in table:
            raise UnknownNameError(f"{meaning} column", asked, table)
        return asked
    names = [n for n in table if n.strip().lower() in _NAMES[meaning] and n not in (columns or ())]
    if meaning == "id":  # the name that says it best
        return min(names, key=lambda n: _NAMES["id"].index(n.strip().lower()), default=None)
    if len(names) > 1:
        raise DatasetError(
            f"Several columns could be the {meaning}: {', '.join(names)}.",
            hint=f"Name one: --{meaning}-column, or {_ASKED[meaning]} in Python.",
        )
    return names[0] if names else None


def _features(table: Table, taken: set[str], columns: Sequence[str] | None) -> list[str]:
    """Names of the columns of numbers to use."""
    free = [name for name in table if name not in taken]
    if columns:
        found: list[str] = []
        for pattern in columns:
            names = [pattern] if pattern in table else [n for n in free if fnmatchcase(n, pattern)]
            if not names:
                raise UnknownNameError("column", pattern, free)
            found += [name for name in names if name not in found]
        if meant := [name for name in found if name in taken]:
            raise UsageError(f"Column {meant[0]!r} is not a feature: it is used as another column.")
        return found
    wide = [name for name in free if np.ndim(plain_array(table[name])) > 1]
    if wide:
        named = [name for name in _ROWS_OF_NUMBERS if name in wide] or wide
        if len(named) > 1 and named[0] != "X":
            raise DatasetError(
                f"Several arrays could be X: {', '.join(map(printable, wide))}.",
                hint="Name one with --columns, or columns in Python.",
            )
        return named[:1]
    if "X" in free:
        return ["X"]
    meanings = {name for names in _NAMES.values() for name in names}
    used = [n for n in free if n.strip().lower() not in meanings and is_numeric(table[n], n)]
    if not used:
        raise DatasetError(
            f"There is no column of numbers to fit on among: {printable(', '.join(table))}.",
            hint="Name them with --columns, or columns in Python.",
        )
    if left := [printable(name) for name in free if name not in used]:
        more = f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""
        console.log(f"Columns that are not fitted on: {', '.join(left[:MOST_NAMED])}{more}.")
    ends = used[0] if len(used) == 1 else f"{used[0]} to {used[-1]}"
    console.log(f"{console.counted(len(used), 'column')} of numbers: {printable(ends)}.")
    return used


def _splits(values: Sequence[str | None]) -> list[Split | None]:
    try:
        return [read_split(value) for value in values]
    except DatasetError as error:
        raise DatasetError(f"{error.message}.", hint=error.hint) from None


def _check_ids(ids: Sequence[str | None], name: str | None) -> None:
    if None in ids:
        raise DatasetError(f"Row {list(ids).index(None) + 1} has no name in {name!r}.")
    seen: set[str | None] = set()
    for one in ids:
        if one in seen:
            raise DatasetError(
                f"Two rows are called {printable(str(one))!r} in {printable(str(name).strip())!r}.",
                hint="Row names must be unique; give rows that belong together the same group.",
            )
        seen.add(one)
