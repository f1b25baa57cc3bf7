"""A linear head that is fitted again after every few labels, in a fraction of a second.

It is multinomial logistic regression with an L2 penalty on standardised features, as the head
``logreg`` of `featx.fit`, with one difference: mean and standard deviation are those of all images
of the folder, labelled or not. Three things make a refit cheap: only labelled rows are fitted on;
L-BFGS runs along the principal axes of the folder's embeddings, each scaled by its curvature; and
it starts where the last fit ended. All rows are scored by one matrix product, in chunks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["QuickHead", "Space"]

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]

AXES_ROWS = 4096  # rows that the principal axes are found from
CHUNK_ROWS = 16384
PENALTY = 0.1  # of the mean log loss; benchmarks/labelling.py shows that it is not critical
ITERATIONS = 60
SMALLEST = 1e-6


@dataclass
class Space:
    """Standardised coordinates along the principal axes of a folder's embeddings.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_features), float32
    seed : int
        Of the rows that the axes are found from.
    """

    X: Floats
    seed: int = 0
    mean: Floats = field(init=False)
    scale: Floats = field(init=False)
    axes: Floats = field(init=False)
    variance: Floats = field(init=False)

    def __post_init__(self) -> None:
        n, rng = len(self.X), np.random.default_rng(self.seed)
        rows = np.sort(rng.choice(n, min(n, AXES_ROWS), replace=False))
        sample = self.X[rows].astype(np.float64)
        self.mean = sample.mean(axis=0).astype(np.float32)
        spread = sample.std(axis=0)
        self.scale = np.where(spread > SMALLEST, spread, np.inf).astype(np.float32)
        sample = ((sample - self.mean) / self.scale).astype(np.float32)
        variance, axes = np.linalg.eigh(sample.T @ sample / np.float32(len(sample)))
        self.axes = np.ascontiguousarray(axes[:, ::-1])
        self.variance = np.maximum(variance[::-1], 0.0).astype(np.float32)

    def coordinates(self, rows: Codes | slice, n_axes: int | None = None) -> Floats:
        """Of some images along the first axes, shape (n_rows, n_axes)."""
        return np.asarray(((self.X[rows] - self.mean) / self.scale) @ self.axes[:, :n_axes])

    def chunks(self) -> Iterator[slice]:
        """All rows, a chunk at a time."""
        for start in range(0, len(self.X), CHUNK_ROWS):
            yield slice(start, min(start + CHUNK_ROWS, len(self.X)))


@dataclass
class QuickHead:
    """Coefficients along the axes of a `Space`.

    Parameters
    ----------
    W : ndarray of shape (n_features, n_classes), float32
    b : ndarray of shape (n_classes,), float32
    """

    W: Floats
    b: Floats

    @classmethod
    def fit(
        cls,
        Z: Floats,
        y: Codes,
        n_classes: int,
        variance: Floats,
        *,
        start: QuickHead | None = None,
        penalty: float = PENALTY,
    ) -> QuickHead:
        """Fit on labelled rows; classes weigh alike, as far as they have images.

        Parameters
        ----------
        Z : ndarray of shape (n_labelled, n_features)
            Coordinates of `Space`.
        y : ndarray of shape (n_labelled,)
            Codes of classes; one that no row has gets a probability that falls with its distance.
        n_classes : int
        variance : ndarray of shape (n_features,)
            Along each axis.
        start : QuickHead, optional
            Where to start; of the same classes, or the first of them.
        """
        from scipy.optimize import minimize

        problem = _Problem.pose(Z, y, n_classes, variance, penalty)
        found = minimize(
            problem.loss, problem.point(start).ravel(), jac=True, method="L-BFGS-B",
            options={"maxiter": ITERATIONS, "gtol": 1e-4, "ftol": 1e-7, "maxcor": 10},
        )  # fmt: skip
        W = problem.coefficients(found.x)
        return cls(np.ascontiguousarray(W[:-1] * problem.scale[:, None]), W[-1].copy())

    def predict_proba(self, Z: Floats) -> Floats:
        """Of coordinates, shape (n_rows, n_classes)."""
        return softmax(Z @ self.W + self.b)

    def score_all(self, space: Space) -> Floats:
        """Probabilities of all images of the folder, from their embeddings as they are."""
        V = (space.axes @ self.W) / space.scale[:, None]
        b = self.b - space.mean @ V
        found = np.empty((len(space.X), len(b)), np.float32)
        for rows in space.chunks():
            found[rows] = softmax(space.X[rows] @ V + b)
        return found


@dataclass
class _Problem:
    """The penalised loss in coordinates in which every axis is about equally curved."""

    Z: Floats
    truth: Floats
    weights: Floats
    scale: Floats
    shrink: Floats

    @classmethod
    def pose(
        cls, Z: Floats, y: Codes, n_classes: int, variance: Floats, penalty: float
    ) -> _Problem:
        counts = np.bincount(y, minlength=n_classes)
        truth = np.zeros((len(y), n_classes), np.float32)
        truth[np.arange(len(y)), y] = 1.0
        # The curvature of the mean log loss along an axis is at most a quarter of its variance.
        scale = (1.0 / np.sqrt(0.25 * variance + penalty)).astype(np.float32)
        weights = (1.0 / counts[y] / np.count_nonzero(counts)).astype(np.float32)
        return cls(Z * scale, truth, weights, scale, penalty * scale[:, None] ** 2)

    def point(self, head: QuickHead | None) -> NDArray[np.float64]:
        """Where a head is, or zero."""
        first = np.zeros((self.Z.shape[1] + 1, self.truth.shape[1]))
        if head is not None:
            k = min(head.W.shape[1], first.shape[1])
            first[:-1, :k] = head.W[:, :k] / self.scale[:, None]
            first[-1, :k] = head.b[:k]
        return first

    def coefficients(self, flat: NDArray[np.float64]) -> Floats:
        return flat.astype(np.float32).reshape(-1, self.truth.shape[1])

    def loss(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """With its gradient."""
        W = self.coefficients(flat)
        logits = self.Z @ W[:-1] + W[-1]
        logits -= logits.max(axis=1, keepdims=True)
        true = (logits * self.truth).sum(axis=1)
        np.exp(logits, out=logits)
        total = logits.sum(axis=1)
        logits /= total[:, None]
        logits -= self.truth
        logits *= self.weights[:, None]
        shrunk = self.shrink * W[:-1]
        value = float(self.weights @ (np.log(total) - true)) + 0.5 * float((shrunk * W[:-1]).sum())
        gradient = np.concatenate([self.Z.T @ logits + shrunk, logits.sum(axis=0)[None]])
        return value, gradient.ravel().astype(np.float64)


def softmax(logits: Floats) -> Floats:
    """Row by row, in place."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def codes_of(labels: Sequence[str], classes: Sequence[str]) -> Codes:
    """Positions of labels among the classes."""
    at = {name: i for i, name in enumerate(classes)}
    return np.array([at[label] for label in labels], np.int64)
