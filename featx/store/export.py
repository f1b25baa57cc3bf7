"""One file of aligned arrays for other tools: HDF5, NPZ or Parquet."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import MissingExtraError, StoreError, UsageError
from featx.files import atomic_path, printable, write_atomic
from featx.ours import FileKind, is_table
from featx.store.faults import storage_errors

EXPORT_SUFFIXES = (".h5", ".npz", ".parquet")
_PARQUET_ROWS = 8192


def check_export_path(path: str | Path) -> Path:
    """Refuse a name that `export_arrays` could not write, before any work is done.

    Raises
    ------
    UsageError
        Unknown suffix.
    MissingExtraError
        Parquet without pyarrow.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() not in EXPORT_SUFFIXES:
        raise UsageError(
            f"Cannot export to {os.fspath(path)!r}: the name must end in one of "
            f"{', '.join(EXPORT_SUFFIXES)}."
        )
    if target.suffix.lower() == ".parquet":
        _pyarrow()
    return target


def export_arrays(
    path: str | Path,
    X: np.ndarray,
    y: Sequence[str] | None,
    ids: Sequence[str],
    *,
    hashes: np.ndarray | None = None,
    overwrite: bool = False,
) -> None:
    """Write aligned ``X``, ``y`` and ``ids`` to one file, whole or not at all.

    Parameters
    ----------
    path : path
        ``.h5`` (datasets; text as fixed-length UTF-8), ``.npz`` (readable with
        ``allow_pickle=False``) or ``.parquet`` (``X`` as fixed-size lists). HDF5 is built in
        memory, so it needs as much again as ``X``.
    X : ndarray of shape (n_samples, n_features), float32
    y : sequence of str or None
        Label of each row; None leaves it out.
    ids : sequence of str
        Name of each row. Names that are not UTF-8 keep their bytes in HDF5, and are written with
        ``\\xNN`` escapes in Parquet, which holds text only.
    hashes : ndarray of shape (n_samples, 32), uint8, optional
        SHA-256 of each image, written as hexadecimal ``sha256``.
    overwrite : bool, default False
        Replace an existing file.

    Raises
    ------
    UsageError
        The suffix is unknown, or the file exists and ``overwrite`` is False.
    MissingExtraError
        As `check_export_path`.
    StoreError
        Lengths differ, or the file cannot be written.
    """
    target = check_export_path(path)
    if os.path.lexists(target) and not overwrite:
        raise UsageError(f"{target} exists.", hint="Replace it with --overwrite.")
    text: dict[str, Sequence[str]] = {"ids": ids}
    if y is not None:
        text["y"] = y
    if hashes is not None:
        text["sha256"] = [row.tobytes().hex() for row in hashes]
    for name, column in text.items():
        if len(column) != len(X):
            raise StoreError(f"{name} has {len(column)} values for {len(X)} rows of X.")
    writers: dict[str, Callable[[Path, np.ndarray, Mapping[str, Sequence[str]]], None]] = {
        ".h5": _write_hdf5,
        ".npz": _write_npz,
        ".parquet": _write_parquet,
    }
    with storage_errors("write", target):
        writers[target.suffix.lower()](target, X, text)


def _is_export(path: Path) -> bool:
    """Whether a file holds what `export_arrays` is asked for by ``featx cache export``."""
    import h5py

    if path.suffix.lower() == ".parquet":
        return is_table(("ids", "sha256", "X"))(path) or is_table(("ids", "y", "sha256", "X"))(path)
    if path.suffix.lower() == ".npz":
        try:
            with zipfile.ZipFile(path) as archive:
                names = {name.removesuffix(".npy") for name in archive.namelist()}
        except (zipfile.BadZipFile, NotImplementedError):
            return False
    else:
        with h5py.File(path, "r") as file:
            names = set(file)
    return names - {"y"} == {"X", "ids", "sha256"}


EXPORT = FileKind("embeddings", _is_export, room_bytes=1 << 20)


def _write_hdf5(target: Path, X: np.ndarray, text: Mapping[str, Sequence[str]]) -> None:
    import h5py

    buffer = io.BytesIO()  # HDF5 must not see a disk that can fill up: it crashes at exit
    with h5py.File(buffer, "w", libver=("v110", "v110")) as file:
        file.create_dataset("X", data=X)
        for name, column in text.items():
            encoded = [value.encode("utf-8", "surrogateescape") for value in column]
            width = max(map(len, encoded), default=1) or 1
            file.create_dataset(name, data=np.array(encoded, h5py.string_dtype("utf-8", width)))
    write_atomic(target, buffer.getbuffer())


def _write_npz(target: Path, X: np.ndarray, text: Mapping[str, Sequence[str]]) -> None:
    arrays = {name: np.array(column, dtype=np.str_) for name, column in text.items()}
    savez: Any = np.savez  # its type says that every keyword is a bool
    with atomic_path(target) as temporary, temporary.open("xb") as file:
        savez(file, X=X, **arrays)


def _write_parquet(target: Path, X: np.ndarray, text: Mapping[str, Sequence[str]]) -> None:
    pa, parquet = _pyarrow()
    width = X.shape[1]
    columns = {name: [printable(value) for value in column] for name, column in text.items()}
    schema = pa.schema(
        [(name, pa.string()) for name in columns] + [("X", pa.list_(pa.float32(), width))]
    )
    with (
        atomic_path(target) as temporary,
        parquet.ParquetWriter(os.fspath(temporary), schema) as writer,
    ):
        for start in range(0, len(X), _PARQUET_ROWS):
            rows = slice(start, start + _PARQUET_ROWS)
            flat = pa.array(np.ascontiguousarray(X[rows]).reshape(-1))
            lists = pa.FixedSizeListArray.from_arrays(flat, width)
            table = [pa.array(column[rows]) for column in columns.values()]
            writer.write_table(pa.Table.from_arrays([*table, lists], schema=schema))


def _pyarrow():  # type: ignore[no-untyped-def] # two modules without type information
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("Writing Parquet", "parquet") from None
    return pyarrow, pyarrow.parquet
