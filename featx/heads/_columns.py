"""Other columns (age, depth, site) that follow an embedding: raw values to numbers for a head.

A raw row is the embedding, then one number a column: its value, the code of its category (-1 for
one that is not known), or NaN where the cell is empty. The encoded row is the embedding, then the
numbers that three arrays describe.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx.types import AnyArray

#: Levels that are no code of a category: the value itself, imputed; and whether it is missing.
VALUE, EMPTY = -2, -1

Codes = dict[str, AnyArray]


def fit_columns(raw: AnyArray, categorical: Sequence[bool]) -> Codes:
    """How training rows' columns become numbers.

    A number is imputed by its median; a category has one column for each code that occurs; either
    has one more for empty cells, where there are any (scikit-learn's ``SimpleImputer`` with its
    indicator, and ``OneHotEncoder`` that ignores unknown categories).

    Parameters
    ----------
    raw : ndarray of shape (n, n_columns)
    categorical : sequence of bool

    Returns
    -------
    dict of ndarray
        ``source`` and ``level`` of shape (n_encoded,), int64: which column each number is from, and
        what of it (`VALUE`, `EMPTY` or a code); ``fill`` of shape (n_columns,), float64.
    """
    source: list[int] = []
    level: list[int] = []
    fill = np.zeros(len(categorical))
    for i, is_category in enumerate(categorical):
        empty = np.isnan(raw[:, i])
        known = raw[~empty, i].astype(np.float64)
        if is_category:
            levels = [int(code) for code in np.unique(known) if code >= 0]
        else:
            levels = [VALUE]
            fill[i] = np.median(known) if len(known) else 0.0
        levels += [EMPTY] if empty.any() else []
        source += [i] * len(levels)
        level += levels
    return {"source": np.array(source, np.int64), "level": np.array(level, np.int64), "fill": fill}


def encode_columns(
    X: AnyArray, width: int, source: AnyArray, level: AnyArray, fill: AnyArray
) -> AnyArray:
    """Raw rows (n, width + n_columns) to encoded ones (n, width + n_encoded), in their own type."""
    raw = X[:, width:]
    found = np.empty((len(X), width + len(source)), X.dtype)
    found[:, :width] = X[:, :width]
    for j, (i, what) in enumerate(zip(source.tolist(), level.tolist(), strict=True), start=width):
        column = raw[:, i]
        if what == VALUE:
            found[:, j] = np.where(np.isnan(column), fill[i], column)
        else:
            found[:, j] = np.isnan(column) if what == EMPTY else column == what
    return found


def columns_fault(source: AnyArray, level: AnyArray, fill: AnyArray) -> str | None:
    """What is wrong with arrays of the right types; None where they fit each other."""
    if not len(source) or source.min() < 0 or source.max() >= len(fill) or level.min() < VALUE:
        return "its other columns are numbered beyond those there are"
    return None
