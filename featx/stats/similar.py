"""The rows of a matrix nearest to given rows, exactly, a block at a time.

It needs NumPy alone: a matrix may be in memory, or come in blocks from a file that does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from featx.types import Float32Array, FloatArray, IntArray

BLOCK_ROWS = 8192  # of 1,280 numbers 40 MB: what is read once is still near when it is used twice
LEAST_NORM = 1e-12


def nearest_rows(
    queries: NDArray[np.floating], X: NDArray[np.floating], k: int, *, skip: IntArray | None = None
) -> tuple[IntArray, FloatArray]:
    """The ``k`` rows of a matrix in memory with the largest cosine to each query.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features)
    X : ndarray of shape (n, n_features)
        Need not be of length 1; it is neither copied nor changed.
    k : int
        At most n are found.
    skip : ndarray of shape (n_queries,), int64, optional
        A row that is not to be found, such as the query itself; -1 for none.

    Returns
    -------
    rows : ndarray of shape (n_queries, min(k, n)), int64
        The most similar first, of equals the first in the matrix; -1 where there are no more.
    similarities : ndarray of the same shape, float64
        In [-1, 1]; NaN where there are no more.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    >>> nearest_rows(np.array([[5.0, 1.0]]), X, 2)[0].tolist()
    [[0, 2]]
    """
    return nearest_in(queries, blocks_of(X), min(k, len(X)), skip=skip)


def blocks_of(X: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    """Views of ``X``, one block after the other."""
    for start in range(0, len(X), BLOCK_ROWS):
        yield X[start : start + BLOCK_ROWS]


def nearest_in(
    queries: NDArray[np.floating],
    blocks: Iterable[NDArray[np.floating]],
    k: int,
    *,
    skip: IntArray | None = None,
) -> tuple[IntArray, FloatArray]:
    """As `nearest_rows`, of rows that come in blocks and are read once.

    Parameters
    ----------
    queries, k, skip
        See `nearest_rows`; ``k`` columns are returned however many rows there are.
    blocks : iterable of ndarray of shape (some, n_features)
        All rows, in their order.
    """
    Q = _unit(queries)
    skip = np.full(len(Q), -1) if skip is None else skip
    rows = np.full((len(Q), k), -1, np.int64)
    found = np.full((len(Q), k), -np.inf)
    start = 0
    for block in blocks:
        X = np.asarray(block, np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", X, X))
        cosines = (Q @ X.T) / np.maximum(lengths, LEAST_NORM)
        inside = np.flatnonzero((skip >= start) & (skip < start + len(X)))
        cosines[inside, skip[inside] - start] = -np.inf
        rows, found = _merged(rows, found, cosines, start, k)
        start += len(X)
    similarities = np.clip(found, -1, 1)
    none = ~np.isfinite(found)
    rows[none], similarities[none] = -1, np.nan
    return rows, similarities


def _merged(
    rows: IntArray, found: FloatArray, cosines: Float32Array, start: int, k: int
) -> tuple[IntArray, FloatArray]:
    """The best of those found so far and of a block."""
    n = cosines.shape[1]
    if n > k > 0:
        # All that reach the k-th value, so that of equals the first are kept, whatever partition
        # leaves where.
        limit = np.partition(cosines, n - k, axis=1)[:, n - k]
        near = np.flatnonzero((cosines >= np.maximum(limit, found[:, -1])[:, None]).any(axis=0))
    else:
        near = np.arange(n)
    values = np.concatenate([found, cosines[:, near].astype(np.float64)], axis=1)
    numbers = np.concatenate([rows, np.broadcast_to(near + start, (len(rows), len(near)))], axis=1)
    order = np.lexsort((numbers, -values), axis=1)[:, :k]
    return np.take_along_axis(numbers, order, axis=1), np.take_along_axis(values, order, axis=1)


def _unit(X: NDArray[np.floating]) -> Float32Array:
    X = np.asarray(X, np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", X, X))[:, None]
    return np.asarray(X / np.maximum(lengths, LEAST_NORM), np.float32)
