"""Heads that NumPy computes from the arrays of their file, without scikit-learn.

A product of two matrices does not need the second or more that scikit-learn, scipy and skops take
to import. What is read here is the very file that skops reads, and what is computed follows
scikit-learn's own rules, operation by operation; the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.artifact.saved import SavedObject, UnfamiliarError
from featx.errors import ModelError

__all__ = [
    "PROTOTYPES",
    "ArrayHead",
    "LinearHead",
    "ProbabilityHead",
    "Scaler",
    "read_linear",
    "read_scaler",
    "unit_rows",
]

PROTOTYPES = "featx.heads._prototypes.PrototypeClassifier"

#: Linear classifiers, and whether they have probabilities.
LINEAR = {
    PROTOTYPES: False,
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis": True,
    "sklearn.linear_model._logistic.LogisticRegression": True,
    "sklearn.linear_model._ridge.RidgeClassifier": False,
    "sklearn.svm._classes.LinearSVC": False,
}
FLOATS = (np.float32, np.float64, np.float16)  # what scikit-learn standardises as it is


@dataclass(frozen=True, eq=False)
class Scaler:
    """scikit-learn's ``StandardScaler``, fitted.

    Parameters
    ----------
    n_features : int
        Width of the embeddings.
    mean, scale : ndarray of shape (n_features,), float64, or None
        Subtracted, and divided by; None does nothing.
    """

    n_features: int
    mean: NDArray[Any] | None = None
    scale: NDArray[Any] | None = None

    def __call__(self, X: NDArray[Any]) -> NDArray[Any]:
        """Standardise a copy of ``X`` (n, n_features), in its own type as scikit-learn does.

        Raises
        ------
        ModelError
            The result is not finite: the embeddings are far outside what the scaler has seen.
        """
        X = np.array(X, dtype=X.dtype if X.dtype in FLOATS else np.float64)
        if self.mean is not None:
            X -= self.mean.astype(X.dtype)
        if self.scale is not None:
            with np.errstate(over="ignore"):
                X /= self.scale.astype(X.dtype)
        if not np.isfinite(X).all():
            raise ModelError("Embeddings must be finite when standardised; some are too large.")
        return X


@dataclass(frozen=True, eq=False)
class ArrayHead:
    """A scaler and a classifier, computed by NumPy.

    Parameters
    ----------
    classes_ : ndarray of shape (n_classes,), str
        At least two.
    scaler : Scaler
    rebuild : callable
        Returns the scikit-learn pipeline that this stands for.
    """

    classes_: NDArray[np.str_]
    scaler: Scaler
    rebuild: Callable[[], Any]

    @property
    def n_features_in_(self) -> int:
        """Width of the embeddings."""
        return self.scaler.n_features


@dataclass(frozen=True, eq=False)
class LinearHead(ArrayHead):
    """One hyperplane a class, or one in all for two classes.

    Parameters
    ----------
    coef : ndarray of shape (n_planes, n_features), float32 or float64
    intercept : ndarray of shape (n_planes,), float32 or float64
    unit : bool, default False
        Embeddings are scaled to length 1 first.
    """

    coef: NDArray[Any]
    intercept: NDArray[Any]
    unit: bool = False

    def decision_function(self, X: NDArray[Any]) -> NDArray[Any]:
        """Margins, shape (n,) for two classes (of the second), else (n, n_classes)."""
        X = self.scaler(X)
        margins: NDArray[Any] = (unit_rows(X) if self.unit else X) @ self.coef.T + self.intercept
        return margins.ravel() if margins.shape[1] == 1 else margins

    def predict(self, X: NDArray[Any]) -> NDArray[np.str_]:
        """Classes of the largest margins, shape (n,)."""
        margins = self.decision_function(X)
        best = (margins > 0).astype(np.intp) if margins.ndim == 1 else margins.argmax(axis=1)
        return self.classes_[best]


@dataclass(frozen=True, eq=False)
class ProbabilityHead(LinearHead):
    """A linear head whose margins are log-odds: the logistic function, or softmax, of them."""

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Probabilities, shape (n, n_classes), in the type of the margins."""
        margins = self.decision_function(X)
        if margins.ndim == 1:
            with np.errstate(over="ignore"):  # exp of a large number: the probability is then 0
                second = 1 / (1 + np.exp(-margins))
            return np.stack([1 - second, second], axis=1)
        weights = np.exp(margins - margins.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def unit_rows(X: NDArray[Any]) -> NDArray[Any]:
    """Rows of ``X`` (n, n_features) scaled to length 1, in float64; zeros stay zeros."""
    X = X.astype(np.float64)
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    return np.asarray(X / np.where(norms > 0, norms, 1))


def read_scaler(steps: list[SavedObject]) -> Scaler:
    """The scaler before the last step; without one, a `Scaler` that does nothing.

    Raises
    ------
    UnfamiliarError, KeyError, TypeError
        The steps before the last are something else.
    """
    width = steps[0].value("n_features_in_")
    if type(width) is not int:
        raise UnfamiliarError
    if len(steps) == 1:
        return Scaler(width)
    [scaler] = steps[:-1]
    if scaler.class_name != "sklearn.preprocessing._data.StandardScaler":
        raise UnfamiliarError
    mean = scaler.floats("mean_", (width,)) if scaler.value("with_mean") is True else None
    scale = scaler.floats("scale_", (width,)) if scaler.value("with_std") is True else None
    if scale is not None and not (scale > 0).all():
        raise UnfamiliarError
    return Scaler(width, mean, scale)


def read_linear(steps: list[SavedObject], rebuild: Callable[[], Any]) -> LinearHead:
    """The linear head that the steps of a pipeline are.

    Raises
    ------
    UnfamiliarError, KeyError, TypeError
        They are something else, or not what scikit-learn would have fitted.
    """
    head = steps[-1]
    if head.class_name not in LINEAR:
        raise UnfamiliarError
    scaler, classes = read_scaler(steps), head.texts("classes_")
    if len(classes) < 2 or head.value("n_features_in_") != scaler.n_features:
        raise UnfamiliarError
    unit = head.class_name == PROTOTYPES and head.value("unit_")
    if type(unit) is not bool:
        raise UnfamiliarError
    shape = (1 if len(classes) == 2 else len(classes), scaler.n_features)
    # RidgeClassifier's one plane is a vector
    shapes = [shape, shape[1:]] if len(classes) == 2 else [shape]
    kind = ProbabilityHead if LINEAR[head.class_name] else LinearHead
    return kind(
        classes_=classes,
        scaler=scaler,
        rebuild=rebuild,
        coef=head.floats("coef_", *shapes).reshape(shape),
        intercept=head.floats("intercept_", shape[:1]),
        unit=unit,
    )
