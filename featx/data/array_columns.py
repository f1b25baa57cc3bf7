"""Columns of arrays, frames and files as NumPy has them: numbers, and text of other columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.data.array_files import Table
from featx.data.cells import cell, cell_text, is_no_value
from featx.errors import DatasetError
from featx.files import printable
from featx.types import Float32Array, UInt8Array


def plain_array(values: Any) -> Any:
    """A tensor, a column of a frame, or a sparse matrix as NumPy has it; a list as it is."""
    if hasattr(values, "detach"):  # torch's, which may be bfloat16 and on a GPU
        values = values.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    if hasattr(values, "toarray"):
        return values.toarray()
    if hasattr(values, "to_numpy"):
        return values.to_numpy()
    if isinstance(values, np.ma.MaskedArray):  # what is masked is missing
        kind = np.float64 if values.dtype.kind in "biuf" else object
        return np.ma.filled(values.astype(kind), np.nan)
    if isinstance(values, np.ndarray):
        return values
    try:
        return np.asarray(values, dtype=_kind(values))
    except ValueError:
        raise DatasetError("Rows have different lengths: each needs the same columns.") from None


def _kind(values: Any) -> Any:
    """Lists of text stay objects: NumPy would pad them, and make text of numbers beside text."""
    flat = isinstance(values, list | tuple) and not (values and hasattr(values[0], "__len__"))
    text = isinstance(values, list | tuple) and any(isinstance(v, str | bytes) for v in values)
    return object if text or (flat and None in values) else None


def is_numeric(values: Any, name: str) -> bool:
    """Whether a column holds numbers; one that mostly does and has other text is refused."""
    array = plain_array(values)
    if array.dtype.kind in "biuf":
        return True
    if array.dtype.kind not in "OUS":
        return False
    numbers = [_is_number(one) for one in array.tolist()]
    share = sum(numbers) / max(1, len(numbers))
    if 0.5 < share < 1:
        row = numbers.index(False)
        raise DatasetError(
            f"Column {printable(name)!r} holds {array.tolist()[row]!r} in row {row + 1} but "
            "numbers elsewhere.",
            hint="Name the columns to fit on with --columns (in Python: columns).",
        )
    return share == 1


def _is_number(value: Any) -> bool:
    try:
        _number(value)
    except (TypeError, ValueError):
        return False
    return True


def _number(value: Any) -> float:
    """A cell as a number; one that is empty is NaN."""
    if value is None or is_no_value(str(value)):
        return np.nan
    return float(value)


def side_by_side(table: Table, names: Sequence[str]) -> Float32Array:
    """The columns side by side, as 32-bit numbers."""
    parts = [_numbers(plain_array(table[name]), name) for name in names]
    lengths = {name: len(part) for name, part in zip(names, parts, strict=True)}
    if len(set(lengths.values())) > 1:
        raise DatasetError(f"The columns have different lengths: {lengths}.")
    with np.errstate(over="ignore"):  # what does not fit is infinite, and refused with its row
        X = np.column_stack(parts).astype(np.float32)
    if 0 in X.shape:
        raise DatasetError(f"X has shape {X.shape}: there is nothing to fit on.")
    return X + np.float32(0)  # -0 is 0: equal rows are equal bytes


def _numbers(array: Any, name: str) -> NDArray[Any]:
    """One column, or several as one array, as numbers."""
    shown = printable(name.strip())
    if array.ndim == 0:
        raise DatasetError(
            f"{shown} is {type(array.item()).__name__}, not rows of numbers.",
            hint="Give an array, a frame, a tensor, or the name of a file of arrays.",
        )
    if array.ndim == 1 and name == "X":
        raise DatasetError(
            f"{shown} has shape {array.shape}; it needs (n_rows, n_features).",
            hint="One feature: X.reshape(-1, 1). One row: X.reshape(1, -1).",
        )
    if array.ndim > 2:
        raise DatasetError(
            f"{shown} has shape {array.shape}; it needs (n_rows, n_features).",
            hint="Images are fitted on from files: featx.fit(FOLDER).",
        )
    if array.dtype.kind in "biuf":
        return np.asarray(array)
    if array.dtype.kind in "OUS":
        try:
            return np.array([_number(v) for v in array.ravel().tolist()]).reshape(array.shape)
        except (TypeError, ValueError) as error:
            raise DatasetError(f"{shown} holds values other than numbers: {error}.") from None
    raise DatasetError(f"{shown} must hold numbers. Got dtype {array.dtype}.")


def texts(column: Any, name: str, n: int) -> list[str | None]:
    """Labels, groups, names or splits as text; None where a row has none."""
    shown = printable(name.strip())
    array = _column(column)
    if array.ndim != 1:
        raise DatasetError(f"{shown} has shape {array.shape}; it needs one value a row: ({n},).")
    if len(array) != n:
        raise DatasetError(f"X has {n:,} rows, and {shown} has {len(array):,} values.")
    try:
        values = [_text(one, shown) for one in array.tolist()]
    except DatasetError as error:
        hint = "featx predicts classes: labels are text or whole numbers." if "float" in \
            error.message else None  # fmt: skip
        raise DatasetError(f"{error.message}.", hint=hint) from None
    if any("\0" in value for value in values if value):
        raise DatasetError(f"{shown} holds a NUL character.")
    return values


def other_texts(column: Any, name: str, n: int) -> list[str | None]:
    """Another column as text, numbers with fractions too; None where a row has no value."""
    array = _column(column)
    if array.shape != (n,):
        shown = printable(name)
        raise DatasetError(f"{shown} has shape {array.shape}; it needs one value a row: ({n},).")
    return [cell_text(one) for one in array.tolist()]


def _column(values: Any) -> Any:
    """An array; one column of two dimensions has one."""
    array = plain_array(values)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _text(value: Any, name: str) -> str | None:
    """One value as `cell` reads it; `pandas.NA` is none."""
    return cell(None if str(value) == "<NA>" else value, name)


def digests(values: Sequence[str | None]) -> UInt8Array:
    """SHA-256 as bytes, shape (n, 32), from hexadecimal digits."""
    try:
        rows = [bytes.fromhex(str(value)) for value in values]
        return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), 32)
    except ValueError:
        raise DatasetError("Column 'sha256' must hold 64 hexadecimal digits in each row.") from None
