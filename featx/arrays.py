"""What NumPy and torch spell differently, so that a prediction is written once for both.

The rest (``@``, ``exp``, ``clip``, ``where``, ``amax``, ``stack``, ``concatenate``, ``sum`` with
``axis`` and ``keepdims``) the two spell alike: ask `namespace` for the module. NumPy computes
scores; torch traces the same lines for an export.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Array = Any  # of NumPy, or a tensor of torch


def namespace(values: Array) -> Any:
    """The module that computes with ``values``: torch for its tensors, else numpy."""
    return sys.modules["torch"] if hasattr(values, "requires_grad") else np


def cast(values: Array, dtype: str) -> Array:
    """An array of this type, the same one where it is of that type already."""
    xp = namespace(values)
    return np.asarray(values, dtype=dtype) if xp is np else values.to(getattr(xp, dtype))


def take_along(values: Array, indices: Array) -> Array:
    """Of each row of ``values`` (n, m) the entries at that row of ``indices`` (n, k)."""
    xp = namespace(values)
    return np.take_along_axis(values, indices, 1) if xp is np else values.gather(1, indices)


def smallest(values: Array, k: int) -> Array:
    """Columns of the ``k`` smallest entries of each row, the smallest first, shape (n, k)."""
    xp = namespace(values)
    if xp is not np:
        return values.topk(k, largest=False).indices
    few = np.argpartition(values, k - 1, axis=1)[:, :k]
    order = np.argsort(np.take_along_axis(values, few, 1), axis=1, kind="stable")
    return np.take_along_axis(few, order, 1)


def interpolate(values: Array, points: list[float], heights: list[float]) -> Array:
    """``numpy.interp``: a piecewise linear function of ``values`` (n,)."""
    xp = namespace(values)
    if xp is np:
        return np.interp(values, points, heights)
    low, high = (xp.asarray(part, dtype=xp.float64) for part in (points[:-1], points[1:]))
    rise = xp.asarray(np.diff(heights), dtype=xp.float64)
    x = values[:, None]
    # where two points are equal the function steps to the last height, as numpy.interp does
    wide = high > low
    share = xp.where(wide, xp.clip((x - low) / xp.where(wide, high - low, 1.0), 0, 1), x >= low)
    return heights[0] + (share * rise).sum(axis=1)
