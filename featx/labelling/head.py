"""A linear head that is fitted again after every few labels, in a fraction of a second.

It is multinomial logistic regression with an L2 penalty, in which classes weigh alike. It differs
from the head ``logreg`` of `featx.fit` where that makes a refit cheap or holds with few labels:
features are standardised by all images of the folder, labelled or not, and reduced to the first
256 principal axes; L-BFGS runs along them, each scaled by its curvature; and the intercepts are
penalised too, as a class of few labels is otherwise hardly predicted. Only labelled rows are
fitted on, and all rows are scored by one matrix product, in chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx.types import Float32Array, FloatArray, IntArray

AXES_ROWS = 4096  # rows that the principal axes are found from
CHUNK_ROWS = 16384
AXES = 256
PENALTY = 0.3  # of the mean log loss; between 0.1 and 1 it hardly matters
ITERATIONS = 30
SMALLEST = 1e-6


@dataclass(frozen=True)
class Space:
    """Embeddings of a folder, standardised and turned to their principal axes.

    Parameters
    ----------
    Z : ndarray of shape (n_images, n_axes), float32
    variance : ndarray of shape (n_axes,), float32
        Along each axis.
    """

    Z: Float32Array
    variance: Float32Array

    @classmethod
    def of(cls, X: Float32Array, seed: int = 0) -> Space:
        """The space of embeddings (n_images, n_features); ``seed`` draws the rows it rests on."""
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(len(X), min(len(X), AXES_ROWS), replace=False))
        sample = X[rows].astype(np.float64)
        mean, spread = sample.mean(axis=0), sample.std(axis=0)
        scale = 1.0 / np.where(spread > SMALLEST, spread, np.inf)
        sample = (sample - mean) * scale
        variance, axes = np.linalg.eigh(sample.T @ sample / len(sample))
        variance, axes = variance[::-1][:AXES], axes[:, ::-1][:, :AXES]
        turn = (scale[:, None] * axes).astype(np.float32)
        shift = (mean @ turn).astype(np.float32)
        Z = np.empty((len(X), turn.shape[1]), np.float32)
        for start in range(0, len(X), CHUNK_ROWS):
            Z[start : start + CHUNK_ROWS] = X[start : start + CHUNK_ROWS] @ turn - shift
        return cls(Z, np.maximum(variance, 0.0).astype(np.float32))


@dataclass
class QuickHead:
    """Coefficients along the axes of a `Space`.

    Parameters
    ----------
    W : ndarray of shape (n_features, n_classes), float32
    b : ndarray of shape (n_classes,), float32
    """

    W: Float32Array
    b: Float32Array

    @classmethod
    def fit(
        cls,
        Z: Float32Array,
        y: IntArray,
        n_classes: int,
        variance: Float32Array,
    ) -> QuickHead:
        """Fit on labelled rows; classes weigh alike, as far as they have images.

        Parameters
        ----------
        Z : ndarray of shape (n_labelled, n_axes)
            Coordinates of `Space`.
        y : ndarray of shape (n_labelled,)
            Codes of classes; one that no row has gets a probability that falls with its distance.
        n_classes : int
        variance : ndarray of shape (n_features,)
            Along each axis.
        """
        from scipy.optimize import minimize

        problem = _Problem.pose(Z, y, n_classes, variance)
        found = minimize(
            problem.loss, np.zeros(problem.shape).ravel(), jac=True, method="L-BFGS-B",
            options={"maxiter": ITERATIONS, "gtol": 1e-4, "ftol": 1e-7, "maxcor": 10},
        )  # fmt: skip
        W = problem.coefficients(found.x) * problem.scale[:, None]
        return cls(np.ascontiguousarray(W[:-1]), W[-1].copy())

    def predict_proba(self, Z: Float32Array) -> Float32Array:
        """Probabilities (n_rows, n_classes) of images by their coordinates, chunk by chunk."""
        found = np.empty((len(Z), len(self.b)), np.float32)
        for start in range(0, len(Z), CHUNK_ROWS):
            found[start : start + CHUNK_ROWS] = softmax(
                Z[start : start + CHUNK_ROWS] @ self.W + self.b
            )
        return found


@dataclass
class _Problem:
    """The penalised loss in coordinates in which every axis is about equally curved."""

    Z: Float32Array
    truth: Float32Array
    weights: Float32Array
    scale: Float32Array
    shrink: Float32Array

    @classmethod
    def pose(cls, Z: Float32Array, y: IntArray, n_classes: int, variance: Float32Array) -> _Problem:
        counts = np.bincount(y, minlength=n_classes)
        truth = np.zeros((len(y), n_classes), np.float32)
        truth[np.arange(len(y)), y] = 1.0
        # The curvature of the mean log loss along an axis is at most a quarter of its variance;
        # a column of ones is for the intercepts.
        scale = (1.0 / np.sqrt(0.25 * np.append(variance, 1.0) + PENALTY)).astype(np.float32)
        weights = (1.0 / counts[y] / np.count_nonzero(counts)).astype(np.float32)
        ones = np.ones((len(Z), 1), np.float32)
        return cls(
            np.hstack([Z, ones]) * scale, truth, weights, scale, PENALTY * scale[:, None] ** 2
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Of the coefficients."""
        return self.Z.shape[1], self.truth.shape[1]

    def coefficients(self, flat: FloatArray) -> Float32Array:
        return flat.astype(np.float32).reshape(self.shape)

    def loss(self, flat: FloatArray) -> tuple[float, FloatArray]:
        """With its gradient."""
        W = self.coefficients(flat)
        logits = self.Z @ W
        logits -= logits.max(axis=1, keepdims=True)
        true = (logits * self.truth).sum(axis=1)
        np.exp(logits, out=logits)
        total = logits.sum(axis=1)
        logits /= total[:, None]
        logits -= self.truth
        logits *= self.weights[:, None]
        shrunk = self.shrink * W
        value = float(self.weights @ (np.log(total) - true)) + 0.5 * float((shrunk * W).sum())
        return value, (self.Z.T @ logits + shrunk).ravel().astype(np.float64)


def softmax(logits: Float32Array) -> Float32Array:
    """Row by row, in place."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def codes_of(labels: Sequence[str], classes: Sequence[str]) -> IntArray:
    """Positions of labels among the classes."""
    at = {name: i for i, name in enumerate(classes)}
    return np.array([at[label] for label in labels], np.int64)
