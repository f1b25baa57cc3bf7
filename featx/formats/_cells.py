"""What writers share."""

from __future__ import annotations

import math
from typing import Any


def plain_cell(value: Any) -> str | bool | int | float | None:
    """Return a cell as a plain Python value: numpy scalars converted, NaN as None."""
    if hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return str(value)
