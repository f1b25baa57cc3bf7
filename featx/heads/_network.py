"""The form of multilayer perceptrons: a product and a function a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from featx.arrays import Array, cast, namespace
from featx.heads._form import Field, Form, singles
from featx.heads._rules import among, whole
from featx.margins import margin_probabilities

MAX_LAYERS, MAX_UNITS = 64, 1 << 20


def _gelu(X: Array) -> Array:
    """Hendrycks and Gimpel, arXiv 1606.08415, the form with tanh."""
    inner = float(np.float32(np.sqrt(2 / np.pi))) * (X + float(np.float32(0.044715)) * X * X * X)
    return 0.5 * X * (1 + namespace(X).tanh(inner))


#: What a hidden layer makes of its sums.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda X: namespace(X).clip(X, 0, None),
    "gelu": _gelu,
    "tanh": lambda X: namespace(X).tanh(X),
}


def _probabilities(X: Array, a: Any) -> Array:
    """Shape (n, n_classes), float64; the layers are computed in float32."""
    hidden, last = cast(X, "float32"), len(a.hidden)
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(last):
            sums = hidden @ getattr(a, f"weights_{i}") + getattr(a, f"biases_{i}")
            hidden = ACTIVATIONS[a.activation](sums)
        sums = hidden @ getattr(a, f"weights_{last}") + getattr(a, f"biases_{last}")
        return margin_probabilities(sums, 1.0)


def _fields(settings: Mapping[str, Any]) -> dict[str, Field]:
    """Weights and biases of each layer."""
    fields: dict[str, Field] = {}
    widths = ["n_features", *settings["hidden"], "n_classes"]
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        fields |= {f"weights_{i}": singles(inputs, outputs), f"biases_{i}": singles(outputs)}
    return fields


def _freeze(classifier: Any) -> dict[str, Any]:
    layers = enumerate(zip(classifier.coefs_, classifier.intercepts_, strict=True))
    arrays: dict[str, Any] = {}
    for i, (weights, biases) in layers:
        arrays |= {f"weights_{i}": weights, f"biases_{i}": biases}
    hidden = [len(biases) for biases in classifier.intercepts_[:-1]]
    return {**arrays, "hidden": hidden, "activation": classifier.activation}


def _thaw(classifier: Any, a: Any) -> None:
    layers = range(len(a.hidden) + 1)
    classifier.coefs_ = [np.array(getattr(a, f"weights_{i}")) for i in layers]
    classifier.intercepts_ = [np.array(getattr(a, f"biases_{i}")) for i in layers]
    classifier.activation = a.activation


def _widths(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_LAYERS
        and all(whole(1, MAX_UNITS)(n) for n in value)
    )


NETWORK = Form(
    output="proba",
    arrays=_fields,
    settings={"hidden": _widths, "activation": among(*ACTIVATIONS)},
    compute=_probabilities,
    freeze=_freeze,
    thaw=_thaw,
)
