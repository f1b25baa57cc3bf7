"""Tables of counts whose rows and columns add up to totals that are known.

Deming and Stephan, "On a least squares adjustment of a sampled frequency table", Annals of
Mathematical Statistics 11, 1940 (raking); Cox, "A constructive procedure for unbiased controlled
rounding", JASA 82, 1987.
"""

from __future__ import annotations

import numpy as np

from featx.types import FloatArray, IntArray

N_STEPS = 200
LEAST = 1e-9  # so that no total is out of reach


def rake(values: FloatArray, rows: IntArray, columns: IntArray) -> IntArray:
    """Whole numbers near ``values`` whose rows and columns have the sums given.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        None below 0.
    rows, columns : ndarray of int64
        Sums of each row and each column, which have the same total.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), int64
        Each within 1 of the raked value, where raking comes to an end.
    """
    raked = np.maximum(values, 0) + LEAST
    for _ in range(N_STEPS):
        raked *= (columns / raked.sum(axis=0))[None]
        sums = raked.sum(axis=1)
        raked *= np.divide(rows, sums, out=np.zeros(len(rows)), where=sums > 0)[:, None]
        raked += (raked <= 0) * 1e-300  # a cell of 0 could never grow again
    down = np.floor(raked + 1e-6).astype(np.int64)
    for sums, axis in ((rows, 1), (columns, 0)):  # too much, where raking has not come to an end
        for line in np.flatnonzero(down.sum(axis=axis) > sums):
            cells = down[line] if axis else down[:, line]
            cells[:] = cells * (sums[line] / cells.sum())
    return down + _ups(raked - down, rows - down.sum(axis=1), columns - down.sum(axis=0))


def _ups(fractions: FloatArray, rows: IntArray, columns: IntArray) -> IntArray:
    """What cells are rounded up by: so much in each row and column, by 1 where that suffices."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    n_rows, n_columns = fractions.shape
    if not rows.any():
        return np.zeros(fractions.shape, np.int64)
    i, j = np.divmod(np.arange(fractions.size), n_columns)
    places = np.concatenate([i, n_rows + j])
    cells = np.tile(np.arange(fractions.size), 2)
    sums = coo_array((np.ones(len(cells)), (places, cells)))
    # The matrix is totally unimodular, so the vertex that the simplex finds is of whole numbers.
    for most in (1, None):
        found = linprog(
            -fractions.ravel(), A_eq=sums, b_eq=np.concatenate([rows, columns]), bounds=(0, most),
            method="highs-ds",
        )  # fmt: skip
        if found.x is not None:
            break
    return np.asarray(found.x.round().astype(np.int64).reshape(fractions.shape))
