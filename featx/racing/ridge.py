"""A ridge regression on class indicators, predicted out of fold without fitting a fold.

One factorisation a penalty gives the predictions of every fold by the model of the other folds:
the residuals of a fold left out are those of the whole fit, times the inverse of a block of its
smoother (Hastie, Tibshirani and Friedman, "The elements of statistical learning", 2009, section
7.10, for one row). Classes weigh the same, as they do in a balanced accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from featx.types import Float32Array, FloatArray, IntArray

#: Penalties, as shares of the mean squared length of a row.
SHARES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
INTERCEPT = 10.0  # a column of it, which a penalty hardly holds back
SINGLE = 2000  # rows or columns up to which single precision is enough


def out_of_fold(
    X: Float32Array, y: IntArray, fold: IntArray, n_classes: int, *, balanced: bool
) -> Iterator[FloatArray]:
    """Scores of every image by a regression on the other folds, for each penalty of `SHARES`.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
    y : ndarray of shape (n,), int64
        Classes from 0.
    fold : ndarray of shape (n,), int64
        Fold of each image, from 0.
    n_classes : int
    balanced : bool
        Whether every class weighs the same; else every image does.

    Yields
    ------
    ndarray of shape (n, n_classes), float64
        About 1 for the class of an image and 0 for the others.
    """
    Z, root = _weighted(X, y, balanced=balanced)
    Y = np.zeros((len(y), n_classes))
    Y[np.arange(len(y)), y] = root
    primal = Z.shape[1] < len(Z)
    G = (Z.T @ Z if primal else Z @ Z.T).astype(np.float64)
    scale = float(np.einsum("ij,ij->", Z, Z, dtype=np.float64)) / len(Z)
    rows = [np.flatnonzero(fold == f) for f in np.unique(fold)]
    for share in SHARES:
        inverse = _inverse(G, share * scale)
        left = _primal(Z, Y, inverse, rows) if primal else _dual(Y, inverse, rows)
        yield (Y - left) / root[:, None]


def _weighted(X: Float32Array, y: IntArray, *, balanced: bool) -> tuple[Float32Array, FloatArray]:
    """Standardised columns and an intercept, times the root of each row's weight; that root."""
    weights = np.ones(len(y))
    if balanced:
        counts = np.bincount(y)
        weights = len(y) / (np.count_nonzero(counts) * counts[y])
    root = np.sqrt(weights)
    spread = X.std(axis=0)
    Z = (X - X.mean(axis=0)) / np.where(spread > 1e-6, spread, np.inf).astype(np.float32)
    Z = np.hstack([Z, np.full((len(Z), 1), INTERCEPT, np.float32)])
    return Z * root[:, None].astype(np.float32), root


def _inverse(G: FloatArray, penalty: float) -> FloatArray:
    from scipy.linalg import get_lapack_funcs

    # As exact as a score needs, in half the time; large sums need more digits.
    dtype: type[np.floating[Any]] = np.float32 if len(G) <= SINGLE else np.float64
    A = G.astype(dtype, order="F")
    A[np.diag_indices_from(A)] += penalty
    potrf, potri = get_lapack_funcs(("potrf", "potri"), (A,))
    factor, failed = potrf(A, lower=1, overwrite_a=1)
    if failed:  # cannot be: a Gram matrix with a penalty on its diagonal
        raise np.linalg.LinAlgError(f"Cholesky factorisation failed at row {failed}")
    inverse = potri(factor, lower=1, overwrite_c=1)[0]
    lower = np.tril(inverse)
    return np.asarray(lower + np.tril(inverse, -1).T)


def _primal(
    Z: Float32Array, Y: FloatArray, inverse: FloatArray, rows: list[IntArray]
) -> FloatArray:
    """Residuals of every fold left out: ``(I - H_ff)^-1 r_f`` with the smoother ``H``."""
    residuals = Y - Z @ (inverse @ (Z.T @ Y))
    left = np.empty_like(Y)
    for at in rows:
        # As if the fold had not been fitted on, by Sherman, Morrison and Woodbury's identity.
        H = Z[at] @ inverse @ Z[at].T
        left[at] = np.linalg.solve(np.eye(len(at)) - H, residuals[at])
    return left


def _dual(Y: FloatArray, inverse: FloatArray, rows: list[IntArray]) -> FloatArray:
    """The same with fewer rows than columns: ``(A_ff)^-1 (A Y)_f`` with ``A = (K + pI)^-1``."""
    coefficients = inverse @ Y
    left = np.empty_like(Y)
    for at in rows:
        left[at] = np.linalg.solve(inverse[np.ix_(at, at)], coefficients[at])
    return left
