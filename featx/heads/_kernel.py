"""Support vector machines whose kernel is computed once for a whole grid.

libsvm computes a kernel value when it needs one, feature by feature, and again for every ``C``.
Given as a matrix, made by products of matrices, the same solver needs a tenth of the time. Rows
that are mixtures of others, as SMOTE's are, take theirs from the others' scalar products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.heads._head import Scored, Training

__all__ = ["refit", "score_grid"]

Array = NDArray[Any]

KERNEL_BYTES = 512 * 2**20  # a kernel matrix of 8,192 training images
CHUNK = 512  # rows of a kernel matrix made at a time


def score_grid(
    training: Training, classifiers: Sequence[Any], others: Sequence[NDArray[np.float32]]
) -> Iterator[Scored] | None:
    """Every ``SVC`` of a grid on one matrix of scalar products; None where it is too large."""
    if not _fits(training, classifiers):
        return None
    return _score_each(training, classifiers, others)


def _fits(training: Training, classifiers: Sequence[Any]) -> bool:
    return 8 * len(training.y) ** 2 <= KERNEL_BYTES and all(
        c.kernel in {"linear", "rbf"} for c in classifiers
    )


def _score_each(
    training: Training, classifiers: Sequence[Any], others: Sequence[NDArray[np.float32]]
) -> Iterator[Scored]:
    kernels = _Kernels(training)
    rows = [kernels.against(X) for X in others]
    for classifier in classifiers:
        gamma = _gamma(classifier, training)
        classifier.set_params(kernel="precomputed")
        classifier.fit(kernels.among(gamma), kernels.y)
        yield Scored([classifier.decision_function(row(gamma)) for row in rows], False)


def refit(training: Training, classifier: Any) -> Any:
    """``classifier.fit``: the same support vectors, with the coordinates filled in."""
    if not _fits(training, [classifier]):
        return classifier.fit(training.X, training.y)
    kernel, gamma = classifier.kernel, _gamma(classifier, training)
    kernels = _Kernels(training)
    classifier.set_params(kernel="precomputed").fit(kernels.among(gamma), kernels.y)
    classifier.set_params(kernel=kernel)
    classifier._gamma = _scale(classifier, training)
    classifier.support_ = kernels.order[classifier.support_].astype(np.int32)
    classifier.support_vectors_ = training.X[classifier.support_].astype(np.float64)
    classifier.shape_fit_ = training.X.shape
    classifier.n_features_in_ = training.X.shape[1]
    return classifier


def _gamma(classifier: Any, training: Training) -> float | None:
    """Of the radial basis function; None is the linear kernel."""
    return None if classifier.kernel == "linear" else _scale(classifier, training)


def _scale(classifier: Any, training: Training) -> float:
    """``gamma`` as scikit-learn reads it."""
    if classifier.gamma == "scale":
        variance = training.X.astype(np.float64).var()
        return 1.0 / (training.X.shape[1] * variance) if variance != 0 else 1.0
    return 1.0 / training.X.shape[1] if classifier.gamma == "auto" else float(classifier.gamma)


class _Kernels:
    """Kernel matrices of the training images, class by class, which libsvm reads faster."""

    def __init__(self, training: Training) -> None:
        self.order = np.argsort(training.y, kind="stable")
        self.y = training.y[self.order]
        self._mixture = None if training.mixture is None else training.mixture[self.order]
        base = training.base if self._mixture is not None else training.X[self.order]
        self._base = base.astype(np.float64)
        products = self._base @ self._base.T
        if self._mixture is not None:
            products = self._mixture @ np.ascontiguousarray((self._mixture @ products).T)
        self._squares = products.diagonal().copy()
        self._products: Array | None = products
        self._distances: Array | None = None

    def among(self, gamma: float | None) -> Array:
        """The training images' kernel."""
        if gamma is None:
            assert self._products is not None
            return self._products
        if self._distances is None:
            self._distances = _distances(self._products, self._squares, self._squares)
            self._products = None
        return _radial(self._distances, gamma)

    def against(self, X: NDArray[np.float32]) -> Any:
        """A function of gamma: the kernel of other images and the training images."""
        wide = X.astype(np.float64)
        products = self._base @ wide.T
        if self._mixture is not None:
            products = self._mixture @ products
        products = np.ascontiguousarray(products.T)
        squares = (wide**2).sum(axis=1)

        def kernel(gamma: float | None) -> Array:
            if gamma is None:
                return products
            return _radial(_distances(products, squares, self._squares), gamma)

        return kernel


def _distances(products: Any, rows: Array, columns: Array) -> Array:
    """Squared distances in float32, which is what libsvm keeps of a kernel."""
    distances = np.empty(products.shape, np.float32)
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        distances[part] = rows[part, None] + columns - 2.0 * products[part]
    return np.maximum(distances, 0.0, out=distances)


def _radial(distances: Array, gamma: float) -> Array:
    """``exp(-gamma * distances)``, in float64, which is what libsvm reads."""
    kernel = np.empty(distances.shape)
    for start in range(0, len(distances), CHUNK):
        part = slice(start, start + CHUNK)
        kernel[part] = np.exp(np.float32(-gamma) * distances[part])
    return kernel
