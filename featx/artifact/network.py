"""Multilayer perceptrons that NumPy computes: a product and a function a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.artifact.linear import ArrayHead, read_scaler
from featx.artifact.saved import SavedObject, UnfamiliarError
from featx.margins import margin_probabilities

__all__ = ["ACTIVATIONS", "PERCEPTRON", "NetworkHead", "network_probabilities", "read_network"]

PERCEPTRON = "featx.heads._mlp.PerceptronClassifier"
Arrays = list[NDArray[np.float32]]


def _relu(X: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(X, 0)


def _gelu(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hendrycks and Gimpel, arXiv 1606.08415, the form with tanh."""
    inner = np.float32(np.sqrt(2 / np.pi)) * (X + np.float32(0.044715) * X * X * X)
    return np.asarray(np.float32(0.5) * X * (1 + np.tanh(inner)))


#: What a hidden layer makes of its sums.
ACTIVATIONS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "relu": _relu,
    "gelu": _gelu,
    "tanh": np.tanh,
}


def network_probabilities(
    X: NDArray[Any], weights: Arrays, biases: Arrays, activation: str
) -> NDArray[np.float64]:
    """Probabilities of each class.

    Parameters
    ----------
    X : ndarray of shape (n, widths[0])
    weights : list of ndarray of shape (widths[i], widths[i + 1]), float32
    biases : list of ndarray of shape (widths[i + 1],), float32
        The last width is the number of classes.
    activation : str
        One of `ACTIVATIONS`, of all layers but the last.

    Returns
    -------
    ndarray of shape (n, n_classes), float64
        The layers are computed in float32; rows sum to 1.
    """
    hidden = X.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for W, b in zip(weights[:-1], biases[:-1], strict=True):
            hidden = ACTIVATIONS[activation](hidden @ W + b)
        return margin_probabilities(hidden @ weights[-1] + biases[-1], 1.0)


@dataclass(frozen=True, eq=False)
class NetworkHead(ArrayHead):
    """A multilayer perceptron; see `network_probabilities`.

    Parameters
    ----------
    weights, biases : list of ndarray, float32
    activation : str
    """

    weights: Arrays
    biases: Arrays
    activation: str

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities, shape (n, n_classes)."""
        return network_probabilities(self.scaler(X), self.weights, self.biases, self.activation)

    def predict(self, X: NDArray[Any]) -> NDArray[np.str_]:
        """The likeliest classes, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def read_network(steps: list[SavedObject], rebuild: Callable[[], Any]) -> NetworkHead:
    """The multilayer perceptron that the steps of a pipeline are.

    Raises
    ------
    UnfamiliarError, KeyError, TypeError
        They are something else, or not what featx would have fitted.
    """
    head = steps[-1]
    if head.class_name != PERCEPTRON:
        raise UnfamiliarError
    scaler, classes = read_scaler(steps), head.texts("classes_")
    weights, biases = head.float_lists("coefs_"), head.float_lists("intercepts_")
    widths = [scaler.n_features, *(len(b) for b in biases)]
    activation = head.value("activation")
    if not (
        head.value("n_features_in_") == scaler.n_features
        and activation in ACTIVATIONS
        and len(classes) >= 2
        and widths[-1] == len(classes)
        and [W.shape for W in weights] == list(pairwise(widths))
        and all(b.ndim == 1 for b in biases)
        and all(a.dtype == np.float32 for a in (*weights, *biases))
    ):
        raise UnfamiliarError
    return NetworkHead(classes, scaler, rebuild, weights, biases, activation)
