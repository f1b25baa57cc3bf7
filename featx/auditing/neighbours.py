"""Nearest neighbours, exactly: products of blocks, so that memory stays small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from featx import console
from featx.types import Float32Array, IntArray

_BLOCK_CELLS = 2**25  # of float32: 128 MiB


def standardise(X: NDArray[np.floating]) -> Float32Array:
    """Columns scaled to mean 0 and variance 1, then rows to length 1.

    Centred first, because embeddings that are never negative all point the same way.
    """
    X = np.asarray(X, dtype=np.float32)
    spread = X.std(axis=0)
    Z = (X - X.mean(axis=0)) / np.where(spread > 1e-6, spread, np.inf)
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    return np.asarray(Z / np.maximum(length, 1e-12), dtype=np.float32)


def nearest(
    Z: Float32Array, k: int, versions: Sequence[Float32Array] = ()
) -> tuple[IntArray, Float32Array]:
    """The ``k`` other rows with the largest cosine similarity to each row.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features), float32
        Rows of length 1, as from `standardise`.
    k : int
        At most n - 1 are found.
    versions : sequence of ndarrays of the same shape, float32, optional
        Of every row: its similarity is that of the best one. The rows themselves by default.

    Returns
    -------
    neighbours : ndarray of shape (n, min(k, n - 1)), int64
        The most similar first.
    similarities : ndarray of the same shape, float32
        In [-1, 1].

    Notes
    -----
    Exact. Cost grows with n²: see docs/audit.md for how long that takes.
    """
    n = len(Z)
    k = min(k, n - 1)
    neighbours = np.empty((n, k), dtype=np.int64)
    similarities = np.empty((n, k), dtype=np.float32)
    for rows in _blocks(n, "Finding nearest neighbours"):
        products = Z[rows] @ (versions[0] if versions else Z).T
        for other in versions[1:]:
            np.maximum(products, Z[rows] @ other.T, out=products)
        products[np.arange(len(products)), np.arange(rows.start, rows.stop)] = -np.inf
        best = np.argpartition(products, n - k, axis=1)[:, n - k :] if k else products[:, :0]
        best = np.asarray(best, dtype=np.int64)
        values = np.take_along_axis(products, best, axis=1)
        # Equals in the order of their numbers: argpartition leaves them in any order.
        order = np.lexsort((best, -values), axis=1)
        neighbours[rows] = np.take_along_axis(best, order, axis=1)
        similarities[rows] = np.take_along_axis(values, order, axis=1)
    return neighbours, similarities


def _blocks(n: int, label: str) -> Iterator[slice]:
    step = max(1, _BLOCK_CELLS // max(n, 1))
    with console.progress(n, label) as bar:
        for start in range(0, n, step):
            stop = min(start + step, n)
            yield slice(start, stop)
            bar.advance(stop - start)
