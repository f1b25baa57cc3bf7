"""Coordinates in which the Hessian of a logistic regression is nearer the identity.

Features are along their principal axes. Along nearly all of them a factor will do: the curvature
along the axis to a power. What L-BFGS is slow at is how the first axes curve together, those of
the largest variance: on photographs of clothing, directions of the least curvature in coordinates
with factors alone lie among the first 64 of 1,024 axes. There the Hessian of all outputs is
computed whole, and the inverse of its Cholesky factor takes the place of the factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.arrays import Array
from featx.heads._device import Device
from featx.heads._problems import Problems
from featx.types import Float32Array, FloatArray

# Of the curvature along an axis: a half would be right if none curved together. This and what a
# Hessian may cost were chosen by counting gradients on photographs of clothing at 1e-6.
POWER = 0.40
PRICE = 1.2  # gradients that computing a whole Hessian may cost: its size follows from that
LARGEST = 1024  # coefficients it is of, at most
ROWS = 1024  # that take part in it at a time


class Scaling:
    """Coordinates for each problem, at some coefficients.

    Parameters
    ----------
    turned : Problems
        Along principal axes, the one of the largest variance last but for the intercept.
    R : array of shape (n, n_problems, n_outputs)
        Residuals there.
    whole : bool
        Whether to compute the Hessian of the first axes. It has nothing to add where all classes
        are equally probable, since principal axes are those of that Hessian.
    """

    def __init__(self, turned: Problems, R: Array, whole: bool) -> None:
        self._factors = (_curvature(turned, R) ** -POWER).astype(np.float32)
        self._corners = _corners(turned, R) if whole else [None] * len(turned.penalties)

    def step(self, problem: Any, u: Float32Array) -> Float32Array:
        """A step of coefficients (n_features + 1, n_outputs) from one in these coordinates."""
        d = self._factors[:, problem] * u
        corner = self._corners[problem]
        if corner is not None:
            at = -(len(corner) // u.shape[1])
            d[at:] = (u[at:].ravel() @ corner).reshape(-1, u.shape[1])
        return d

    def slope(self, problem: Any, G: Float32Array) -> Float32Array:
        """The gradient in these coordinates from that of coefficients, of the same shape."""
        g = self._factors[:, problem] * G
        corner = self._corners[problem]
        if corner is not None:
            at = -(len(corner) // G.shape[1])
            g[at:] = (corner @ G[at:].ravel()).reshape(-1, G.shape[1])
        return g


def _curvature(turned: Problems, R: Array) -> FloatArray:
    """The Hessian's diagonal, of the shape of the coefficients.

    The weight of a mixed row goes to the rows it mixes: this need not be exact.
    """
    P = turned.cast(abs(R), turned.truth.dtype)
    H = turned.pull(P * (1.0 - P), power=2).astype(np.float64)
    H[:-1] += turned.penalties[:, None]
    return np.maximum(H, 1e-6 * H.mean(axis=0) + np.finfo(np.float32).tiny)


def _corners(turned: Problems, R: Array) -> list[Float32Array | None]:
    """Of each problem the inverse of a Cholesky factor: its first axes', all outputs' Hessian."""
    n_features, n_outputs = turned.X.shape[1] - 1, turned.n_outputs
    size = min(np.sqrt(4 * PRICE * n_features * n_outputs), LARGEST)
    n_axes = min(int(size) // n_outputs - 1, n_features)
    if n_axes < 1:
        return [None] * len(turned.penalties)
    X = turned.X[:, -1 - n_axes :]
    weights = turned.cast(turned.weights, X.dtype)[:, None]
    P = (turned.cast(R, X.dtype) + turned.truth).reshape(len(R), -1)
    # mixed rows stand for what they mix, with their mean probabilities: this need not be exact
    P, weights = turned.to_images(P * weights), turned.to_images(weights)
    P = (P / (weights + float(np.finfo(np.float32).tiny))).reshape(-1, *R.shape[1:])
    return [
        _corner(_hessian(turned.device, X, P[:, i], weights), penalty, n_outputs)
        for i, penalty in enumerate(turned.penalties)
    ]


def _hessian(device: Device, X: Array, P: Array, weights: Array) -> FloatArray:
    """Of the weighted log loss of one problem; a feature's coefficients stand together."""
    n_axes, n_outputs = X.shape[1], P.shape[1]
    shape, each = (n_axes, n_outputs, n_axes, n_outputs), np.arange(n_outputs)
    whole, own = 0.0, 0.0
    for start in range(0, len(X), ROWS):
        x, p, w = (a[start : start + ROWS] for a in (X, P, weights))
        mixed = (x[:, :, None] * (p * w**0.5)[:, None, :]).reshape(len(x), -1)
        whole = whole + mixed.T @ mixed
        own = own + (x[:, :, None] * (p * w)[:, None, :]).reshape(len(x), -1).T @ x
    H = -device.get(whole).astype(np.float64).reshape(shape)
    H[:, each, :, each] += device.get(own).reshape(shape[:3]).transpose(1, 0, 2)
    return H.reshape(n_axes * n_outputs, -1)


def _corner(H: FloatArray, penalty: float, n_outputs: int) -> Float32Array | None:
    """The inverse of its Cholesky factor; None where rounding leaves it without one."""
    ridge = np.full(len(H), penalty)
    # adding to all intercepts changes no probability: there is no curvature along that
    ridge[-n_outputs:] = 1e-3 * H.diagonal()[-n_outputs:].mean()
    H[np.diag_indices_from(H)] += ridge + 1e-6 * H.diagonal().mean()
    try:
        return np.linalg.inv(np.linalg.cholesky(H)).astype(np.float32)
    except np.linalg.LinAlgError:
        return None
