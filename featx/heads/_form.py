"""What a fitted head is, and how it predicts: the one description of it.

Saving, scoring, heat maps and exports all use it. A form is arrays with names, types and shapes,
a few settings, and one function from embeddings to what the head answers, which NumPy computes
and torch traces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from featx.arrays import Array

Planes = tuple[Array, Array]


@dataclass(frozen=True)
class Field:
    """One array of a form.

    Parameters
    ----------
    dtypes : tuple of str
    shape : tuple of int or str
        A text is ``n_features``, ``n_classes``, ``n_outputs`` (1 for two classes, else
        ``n_classes``), or a length of the form's own, the same wherever it stands.
    """

    dtypes: tuple[str, ...]
    shape: tuple[int | str, ...]

    def fault(self, array: Any, sizes: dict[str, int]) -> str | None:
        """What is wrong with an array; adds to ``sizes`` the lengths that are the form's own."""
        if array is None:
            return "is missing"
        if array.dtype.name not in self.dtypes:
            return f"is of type {array.dtype.name}, expected {' or '.join(self.dtypes)}"
        if array.ndim == len(self.shape):
            for name, length in zip(self.shape, array.shape, strict=True):
                if isinstance(name, str):
                    sizes.setdefault(name, length)
        expected = tuple(sizes.get(n, "any") if isinstance(n, str) else n for n in self.shape)
        if array.shape != expected:
            return f"has the shape {array.shape}, expected {expected}"
        return None if np.isfinite(array).all() else "is not finite"


def floats(*shape: int | str) -> Field:
    """An array in the type that was fitted; NumPy computes in it, an export in float64."""
    return Field(("float32", "float64"), shape)


def singles(*shape: int | str) -> Field:
    """An array that is float32 wherever it is computed with."""
    return Field(("float32",), shape)


def doubles(*shape: int | str) -> Field:
    """An array of float64."""
    return Field(("float64",), shape)


def integers(*shape: int | str) -> Field:
    """Counts or indices; NumPy's in an export too, where they decide the network's form."""
    return Field(("int64",), shape)


Fields = Mapping[str, Field]


def fields_fault(arrays: Mapping[str, Array], fields: Fields, sizes: dict[str, int]) -> str | None:
    """What is wrong with arrays by name, for lengths that are known; adds the others to them."""
    if surplus := sorted(arrays.keys() - fields.keys()):
        return f"{surplus[0]!r} is no array of its"
    faults = ((name, field.fault(arrays.get(name), sizes)) for name, field in fields.items())
    return next((f"{name} {fault}" for name, fault in faults if fault), None)


@dataclass(frozen=True)
class Form:
    """A kind of fitted head.

    Parameters
    ----------
    output : {"proba", "log-odds", "logits"}
        What ``compute`` returns: probabilities; margins whose softmax (for two classes, whose
        logistic function) is the probability; or margins that need a temperature.
    arrays : mapping of str to Field, or a function of the settings that returns one
    compute : callable
        ``compute(X, a)``, from embeddings (n, n_features), scaled and projected, to an array of
        shape (n, n_classes), or (n, 1) for the margin of the second of two classes. ``a`` has
        the arrays and settings as attributes. ``X`` is NumPy's or torch's: see `featx.arrays`.
    settings : mapping of str to callable
        Rules that the values have to meet; all are JSON values.
    freeze : callable, optional
        ``freeze(classifier)`` returns the arrays and settings of a fitted scikit-learn
        classifier, by name. By default its attributes ``<name>_``. ValueError where it is not
        one that this form predicts as.
    thaw : callable, optional
        ``thaw(classifier, a)`` makes an unfitted classifier, whose ``classes_`` and
        ``n_features_in_`` are set, the fitted one. By default it sets attributes ``<name>_``.
    sound : callable, optional
        ``sound(a, n_features, n_classes)``: whether arrays of the right shapes fit each other,
        such as indices that lead somewhere.
    numbers : callable, optional
        ``numbers(a)``: how many numbers ``compute`` holds for an embedding; rows are taken in
        parts accordingly.
    planes : callable, optional
        ``planes(a)``: for a head that is linear in what it is given, weights of shape
        (n_outputs, n_features) and offsets of its margins.
    zero_is_second : bool
        Whether a margin of 0 predicts the second of two classes.
    """

    output: Literal["proba", "log-odds", "logits"]
    arrays: Fields | Callable[[Mapping[str, Any]], Fields]
    compute: Callable[[Array, Any], Array]
    settings: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)
    freeze: Callable[[Any], dict[str, Any]] | None = None
    thaw: Callable[[Any, Any], None] | None = None
    sound: Callable[[Any, int, int], bool] | None = None
    numbers: Callable[[Any], int] | None = None
    planes: Callable[[Any], Planes | None] | None = None
    zero_is_second: bool = False

    def fields(self, settings: Mapping[str, Any]) -> Fields:
        """The arrays of a head with these settings."""
        return self.arrays(settings) if callable(self.arrays) else self.arrays

    def frozen(self, classifier: Any) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings of a fitted classifier; ValueError where it is of another form."""
        if self.freeze is not None:
            values = self.freeze(classifier)
        else:
            values = {n: getattr(classifier, f"{n}_") for n in (*self.fields({}), *self.settings)}
        settings = {name: values[name] for name in self.settings}
        arrays = {}
        for name, wanted in self.fields(settings).items():
            array = np.asarray(values[name])
            widest = wanted.dtypes[-1]  # a narrower type loses nothing by it
            narrower = array.dtype.name not in wanted.dtypes and np.can_cast(array.dtype, widest)
            missing = len(wanted.shape) - array.ndim  # one plane may be a vector
            array = array.reshape((1,) * missing + array.shape)
            arrays[name] = np.ascontiguousarray(array, dtype=widest if narrower else array.dtype)
        return arrays, settings

    def fault(
        self,
        arrays: Mapping[str, Array],
        settings: Mapping[str, Any],
        n_features: int,
        n_classes: int,
    ) -> str | None:
        """What is wrong with arrays and settings that were read; None where all is right."""
        if settings.keys() != self.settings.keys():
            return f"its settings are {sorted(settings)}, expected {sorted(self.settings)}"
        for name, rule in self.settings.items():
            if not rule(settings[name]):
                return f"{name} is {settings[name]!r}"[:200]
        sizes = {"n_features": n_features, "n_classes": n_classes}
        sizes["n_outputs"] = 1 if n_classes == 2 else n_classes
        if wrong := fields_fault(arrays, self.fields(settings), sizes):
            return wrong
        together = SimpleNamespace(**arrays, **settings)
        if self.sound is not None and not self.sound(together, n_features, n_classes):
            return "its arrays contradict each other"
        return None
