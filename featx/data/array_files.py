"""Files of embeddings or features, read as named columns: NPZ, NPY, HDF5, Parquet, CSV, TSV."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from featx.config import DatasetConfig
from featx.data.columns import SYNONYMS
from featx.data.delimited import parse_delimited
from featx.data.imagetypes import is_image_name
from featx.data.table import read_table
from featx.errors import DatasetError, FeatxError, MissingExtraError, UsageError
from featx.files import printable

#: Columns by name, each with one value, or one row of numbers, for each row.
Table = dict[str, Any]

#: Files that hold arrays and nothing else; in the other formats a table may name images instead.
ARRAY_SUFFIXES = (".npz", ".npy", ".h5", ".hdf5")
_GLANCE_BYTES, _GLANCE_ROWS = 1 << 20, 20


def holds_arrays(config: DatasetConfig) -> bool:
    """Whether a data set is a file of rows of numbers, not of images.

    NPZ, NPY and HDF5 files are. A Parquet, CSV or TSV file is where ``config.columns`` names its
    columns of numbers. Else it is where no column is called as one of paths is, and it has
    rows of numbers in one column, or columns of numbers and no cell that is the name of an image.
    """
    path = Path(config.dataset)
    suffix = path.suffix.lower()
    if not path.is_file():
        return False
    if suffix in ARRAY_SUFFIXES or config.columns:
        return True
    if suffix not in {".parquet", ".csv", ".tsv"} or config.path_column or config.root:
        return False
    try:
        table = _glance_parquet(path) if suffix == ".parquet" else _glance_text(path)
    except (FeatxError, OSError, ValueError, ImportError):
        return False  # the reader of manifests says what is wrong with it
    named = {name.strip().lower() for name in table}
    if named & set(SYNONYMS["path"]):
        return False
    meanings = {name for names in SYNONYMS.values() for name in names} | {"y"}
    cells = [cell for column in table.values() for cell in column]
    if any(column and _is_row(column[0]) and _is_numbers(column) for column in table.values()):
        return True
    if any(isinstance(cell, str) and is_image_name(cell) for cell in cells):
        return False
    return any(
        _is_numbers(column) for name, column in table.items() if name.lower() not in meanings
    )


def _is_numbers(column: list[Any]) -> bool:
    """Whether every cell is a number or a list of them."""
    try:
        np.array([float(x) for cell in column for x in (cell if _is_row(cell) else [cell])])
    except (TypeError, ValueError):
        return False
    return bool(column)


def _is_row(cell: Any) -> bool:
    return isinstance(cell, list | tuple | np.ndarray)


def _glance_text(path: Path) -> dict[str, list[Any]]:
    """The first rows of a delimited file."""
    with path.open("rb") as file:
        text = file.read(_GLANCE_BYTES).decode("utf-8-sig", "surrogateescape")
    lines = "\n".join(text.split("\n")[: _GLANCE_ROWS + 1])
    columns, rows = parse_delimited(lines, "\t" if path.suffix.lower() == ".tsv" else None)
    return {name: [values[name] for _, values in rows] for name in columns}


def _glance_parquet(path: Path) -> dict[str, list[Any]]:
    """The first rows of a Parquet file."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    batch = next(file.iter_batches(batch_size=_GLANCE_ROWS), None)
    return {} if batch is None else batch.to_pydict()


def read_columns(path: str | os.PathLike[str]) -> Table:
    """Every column of a file of arrays, in its order.

    Raises
    ------
    UsageError
        There is no such file, or its ending is none of those that are read.
    DatasetError
        The file is damaged, or holds Python objects, which are never unpickled.
    MissingExtraError
        Parquet without pyarrow.
    """
    place = Path(path)
    shown = printable(os.fspath(path))
    reader = _READERS.get(place.suffix.lower())
    if reader is None:
        raise UsageError(
            f"'{shown}' is not a file of arrays: {printable(place.suffix) or 'no ending'!r} is "
            f"not read. Choose from: {', '.join(_READERS)}."
        )
    if not place.is_file():
        raise UsageError(f"There is no file '{shown}'.")
    try:
        return reader(place)
    except FeatxError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        hint = None
        if "allow_pickle" in str(error):
            error = ValueError("it holds pickled Python objects, which featx does not load")
            hint = "Save text as np.array(labels, dtype=str), and numbers as np.float32."
        raise DatasetError(f"Cannot read arrays from '{shown}': {error}.", hint=hint) from None


def _read_npz(path: Path) -> Table:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _read_npy(path: Path) -> Table:
    with path.open("rb") as file:
        return {"X": np.load(file, allow_pickle=False)}


def _read_hdf5(path: Path) -> Table:
    import h5py

    with h5py.File(path, "r") as file:
        return {name: item[()] for name, item in file.items() if isinstance(item, h5py.Dataset)}


def _read_parquet(path: Path) -> Table:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError(f"Reading '{printable(str(path))}'", "parquet") from None
    try:
        table = pq.read_table(path)
        return {name: _arrow_column(table.column(name)) for name in table.column_names}
    except pa.ArrowException as error:
        raise ValueError(str(error).strip()) from None


def _arrow_column(column: Any) -> Any:
    """A list of text or of other values, or an array; lists of equal length are its rows."""
    import pyarrow.types as kinds

    kind = column.type
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        if column.null_count == 0 and len(column):
            values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            lengths = {len(row) for row in column} if not kinds.is_fixed_size_list(kind) else set()
            if len(lengths) <= 1:
                return values.reshape(len(column), -1)
        return column.to_pylist()
    numeric = kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)
    if numeric and column.null_count == 0:
        return column.to_numpy()
    return column.to_pylist()


def _read_text(path: Path) -> Table:
    table = read_table(str(path))
    return {name: [r.values.get(name) for r in table.records] for name in table.columns}


_READERS: dict[str, Callable[[Path], Table]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".parquet": _read_parquet,
    ".csv": _read_text,
    ".tsv": _read_text,
}
