"""The meaning of one cell of a manifest file."""

from __future__ import annotations

import math
import os
from typing import Any

from featx.data.likeness import NO_VALUE
from featx.errors import DatasetError

LARGEST = 3.4028234663852886e38  # of 32 bits


def is_no_value(text: str) -> bool:
    """Whether a text is what programs write where they have nothing: ``nan``, ``null``, spaces."""
    return text.strip().lower() in NO_VALUE


def cell(value: Any, column: str, *, words: bool = True) -> str | None:
    """A cell as text; None where it is empty.

    Labels and groups are names: whole numbers become their digits, and other numbers are
    refused, because 0.1 and 0.10 would silently be one class.

    Parameters
    ----------
    value : Any
        As the file's format gives it.
    column : str
        Its column, for messages.
    words : bool, default True
        Whether a word for a missing value is one; False for paths.
    """
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
    if words and value is not None and is_no_value(value):
        return None
    return value or None


def cell_text(value: Any) -> str | None:
    """A cell as text; None where it is empty (``nan`` and the like are), as in a manifest."""
    if hasattr(value, "item"):  # a number of NumPy
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # what pandas makes of 3 beside a gap
    text = "" if value is None else str(value).strip()
    return None if is_no_value(text) else text


def read_number(text: str) -> float | None:
    """The number that a cell is, None where it is none that 32 bits hold."""
    try:
        value = float(text)
    except ValueError:
        return None
    # 1_000 is a number to Python alone
    return value if "_" not in text and abs(value) <= LARGEST else None
