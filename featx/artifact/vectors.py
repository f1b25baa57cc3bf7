"""Support vector machines that NumPy computes: libsvm's decision as products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.artifact.linear import ArrayHead, read_scaler
from featx.artifact.saved import SavedObject, UnfamiliarError

__all__ = ["SVC", "VectorHead", "read_vectors", "votes"]

SVC = "sklearn.svm._classes.SVC"
CHUNK_NUMBERS = 1 << 24  # kernel values and pairs held at once: 128 MB


@dataclass(frozen=True, eq=False)
class VectorHead(ArrayHead):
    """A support vector classifier, one class against one, its votes broken by the margins.

    Parameters
    ----------
    gamma : float or None
        Of the radial basis function kernel; None is the linear kernel.
    vectors : ndarray of shape (n_vectors, n_features), float64
        Support vectors, those of each class together, in the order of the classes.
    counts : ndarray of shape (n_classes,), int
        How many of them each class has.
    dual : ndarray of shape (n_classes - 1, n_vectors), float64
        Weight of each vector against each class that is not its own.
    intercept : ndarray of shape (n_pairs,), float64
        Of the pairs (0, 1), (0, 2), ..., (1, 2), ...

    References
    ----------
    Chang and Lin, "LIBSVM: a library for support vector machines", ACM TIST 2 (2011), section 7
    for the pairs; ``sklearn.utils.multiclass._ovr_decision_function`` for the votes.
    """

    gamma: float | None
    vectors: NDArray[np.float64]
    counts: NDArray[np.intp]
    dual: NDArray[np.float64]
    intercept: NDArray[np.float64]

    def decision_function(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Margins, shape (n,) for two classes (of the second), else votes, (n, n_classes)."""
        X = self.scaler(X).astype(np.float64)
        n_classes = len(self.classes_)
        rows = max(1, CHUNK_NUMBERS // (len(self.vectors) + n_classes**2))
        duels = (self._duels(X[i : i + rows]) for i in range(0, len(X), rows))
        return np.concatenate([d[:, 1, 0].copy() if n_classes == 2 else votes(d) for d in duels])

    def predict(self, X: NDArray[Any]) -> NDArray[np.str_]:
        """Classes of the largest margins, shape (n,)."""
        margins = self.decision_function(X)
        best = (margins >= 0).astype(np.intp) if margins.ndim == 1 else margins.argmax(axis=1)
        return self.classes_[best]

    def _duels(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Margin of each class over each other one, shape (n, n_classes, n_classes)."""
        kernel, n_classes = self._kernel(X), len(self.classes_)
        sums = np.zeros((len(X), n_classes, n_classes))
        ends = np.cumsum(self.counts)
        for i, (start, end) in enumerate(zip(ends - self.counts, ends, strict=True)):
            others = np.arange(n_classes) != i
            sums[:, i, others] = kernel[:, start:end] @ self.dual[:, start:end].T
        first, second = np.triu_indices(n_classes, 1)
        margins = sums[:, first, second] + sums[:, second, first] + self.intercept
        duels = np.zeros_like(sums)
        duels[:, first, second], duels[:, second, first] = margins, -margins
        return duels

    def _kernel(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Likeness of each embedding to each support vector, shape (n, n_vectors)."""
        products = X @ self.vectors.T
        if self.gamma is None:
            return products
        squares = (X**2).sum(axis=1)[:, None] + (self.vectors**2).sum(axis=1)
        return np.asarray(np.exp(-self.gamma * np.maximum(squares - 2 * products, 0)))


def votes(duels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Duels won by each class, plus less than half for its margins; of equals the first wins."""
    above = np.triu(np.ones(duels.shape[1:], bool), 1)
    won = np.where(above, duels >= 0, duels > 0).sum(axis=2)
    margins = duels.sum(axis=2)
    return np.asarray(won + margins / (3 * (np.abs(margins) + 1)))


def read_vectors(steps: list[SavedObject], rebuild: Callable[[], Any]) -> VectorHead:
    """The support vector machine that the steps of a pipeline are.

    Raises
    ------
    UnfamiliarError, KeyError, TypeError
        They are something else, or not what scikit-learn would have fitted.
    """
    head = steps[-1]
    if head.class_name != SVC or head.has("_impl"):
        raise UnfamiliarError
    scaler, classes, counts = read_scaler(steps), head.texts("classes_"), head.counts("_n_support")
    n_classes, n_vectors = len(classes), int(counts.sum())
    kernel, gamma = head.value("kernel"), float(head.value("_gamma"))
    if not (
        head.value("n_features_in_") == scaler.n_features
        and head.value("_sparse") is False
        and head.value("probability") in {"deprecated", False}
        and head.value("decision_function_shape") == "ovr"
        and (n_classes == 2 or head.value("break_ties") is True)
        and kernel in {"linear", "rbf"}
        and 0 < gamma < np.inf
        and n_classes >= 2
        and counts.shape == (n_classes,)
        and counts.min() >= 0
        and head.floats("_probA", (0,)).size == head.floats("_probB", (0,)).size
    ):
        raise UnfamiliarError
    return VectorHead(
        classes_=classes,
        scaler=scaler,
        rebuild=rebuild,
        gamma=gamma if kernel == "rbf" else None,
        vectors=head.floats("support_vectors_", (n_vectors, scaler.n_features)),
        counts=counts,
        dual=head.floats("_dual_coef_", (n_classes - 1, n_vectors)),
        intercept=head.floats("_intercept_", (n_classes * (n_classes - 1) // 2,)),
    )
