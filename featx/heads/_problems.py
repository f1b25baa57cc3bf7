"""Logistic regressions on the same rows: their scores, residuals and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.arrays import Array
from featx.heads._device import HOST, Device
from featx.types import AnyArray, FloatArray

BLOCK = 16  # columns that products of matrices are made for
SAFE = 60.0  # largest score whose exponential float32 holds, and sums of it
CHUNK = 1024  # rows turned into float64, or squared, at a time


@dataclass(frozen=True)
class Problems:
    """Logistic regressions that differ in their penalty.

    Coefficients, their gradients and penalties are NumPy's, float64; what has a number for every
    row lies where the products are computed.

    Parameters
    ----------
    X : array of shape (m, n_features + 1), float32
        The last column is 1.
    truth : array of shape (n, 1, n_outputs), float32
        1 where an output is of the row's class. A linear function is fitted for each output: one
        a class, or one for two classes (the first has score 0).
    weights : array of shape (n,), float64
        Sum to 1.
    penalties : ndarray of shape (n_problems,), float64
        Above 0, descending.
    mixture, transposed : sparse matrix of shape (n, m) and its transpose, float32, optional
        The rows to fit are ``mixture @ X``; without it they are ``X``.
    device : Device
        Of the arrays.
    exact : bool, default False
        Changes of residuals are taken in float64, which a very small ``tol`` needs.
    """

    X: Array
    truth: Array
    weights: Array
    penalties: FloatArray
    mixture: Any = None
    transposed: Any = None
    device: Device = HOST
    exact: bool = False

    @classmethod
    def pose(
        cls,
        X: Array,
        y: AnyArray,
        weights: FloatArray,
        penalties: FloatArray,
        mixture: Any = None,
        device: Device = HOST,
    ) -> Problems:
        """Problems for class indices ``y``, all but ``X`` from NumPy and scipy."""
        n_classes = int(y.max()) + 1
        outputs = np.array([1]) if n_classes == 2 else np.arange(n_classes)
        return cls(
            X,
            device.put((y[:, None] == outputs).astype(np.float32)[:, None]),
            device.put(weights),
            penalties,
            device.put_sparse(mixture),
            device.put_sparse(None if mixture is None else mixture.T),
            device,
        )

    @property
    def n_outputs(self) -> int:
        """Linear functions to fit."""
        return int(self.truth.shape[2])

    def take(self, problems: Array | slice) -> Problems:
        """Some of the problems."""
        return replace(self, penalties=self.penalties[problems])

    def cast(self, values: Array, dtype: Any) -> Array:
        """An array of this device in the precision wanted, the same where it has it."""
        return self.device.xp.asarray(values, dtype=dtype)

    def chunks(self, dtype: Any, power: int = 1) -> Iterator[tuple[slice, Array]]:
        """Parts of ``X`` to a power in the precision wanted: all of it if it is just that."""
        if dtype == self.X.dtype and power == 1:
            yield slice(None), self.X
            return
        for start in range(0, len(self.X), CHUNK):
            rows = slice(start, start + CHUNK)
            part = self.cast(self.X[rows], dtype)
            yield rows, part if power == 1 else part**power

    def scores(self, W: AnyArray) -> Array:
        """Scores of shape (n, n_problems, n_outputs) from coefficients, features first."""
        flat = self.device.put(_padded(W.reshape(len(W), -1)))
        parts = [X @ flat for _, X in self.chunks(flat.dtype)]
        Z = parts[0] if len(parts) == 1 else self.device.xp.concatenate(parts)
        Z = Z[:, : W[0].size]
        Z = Z if self.mixture is None else self._mixed(self.mixture, Z)
        return Z.reshape(len(Z), *W.shape[1:])

    def residuals(self, Z: Array) -> Array:
        """Gradient of each row's log loss in its scores."""
        xp = self.device.xp
        if self.n_outputs == 1:
            Z = xp.concatenate([xp.zeros_like(Z), Z], axis=2)
        # reductions over few classes cost more than the exponentials: both are spared here
        if xp.amax(abs(Z)) > SAFE:
            Z = Z - xp.amax(Z, axis=2, keepdims=True)
        P = xp.exp(Z)
        P /= (P.reshape(-1, P.shape[2]) @ xp.ones_like(P[0, 0])).reshape(*P.shape[:2], 1)
        return P[:, :, -self.n_outputs :] - self.truth

    def pull(self, R: Array, power: int = 1) -> AnyArray:
        """Rows' weighted residuals times their features, to a power, summed; features first."""
        flat = R.reshape(len(R), -1) * self.cast(self.weights, R.dtype)[:, None]
        flat = self.to_images(flat)
        flat = _padded(flat) if self.device is HOST else flat
        G = self.device.get(sum(flat[rows].T @ X for rows, X in self.chunks(R.dtype, power)))
        return G[: R[0].shape[0] * self.n_outputs].T.reshape(-1, *R.shape[1:])

    def to_images(self, values: Array) -> Array:
        """Columns of a number for every row, summed over the rows that a row of ``X`` is in."""
        return values if self.transposed is None else self._mixed(self.transposed, values)

    def _mixed(self, mixture: Any, values: Array) -> Array:
        if self.device is HOST:
            return mixture @ np.ascontiguousarray(values)
        return mixture.to(values.dtype) @ values  # torch multiplies equal types only

    def penalty_gradient(self, W: Array) -> Array:
        """Gradient of the penalty; intercepts, the last row, are free."""
        G = W * self.penalties.astype(W.dtype)[:, None]
        G[-1] = 0.0
        return G


def _padded(values: Array) -> Array:
    """With columns of zeros up to a full block of a matrix product, which is faster so."""
    columns = -(-values.shape[1] // BLOCK) * BLOCK
    padded = np.zeros((len(values), columns), values.dtype)
    padded[:, : values.shape[1]] = values
    return padded
