"""What the classifiers that featx brings itself have in common."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from featx.heads._form import Form
from featx.heads._rules import Rule, among
from featx.types import AnyArray, FloatArray

FLOATS = [np.float64, np.float32]


def CLASS_WEIGHT(value: Any) -> bool:
    """``"balanced"``, weights by class, or None."""
    return value is None or isinstance(value, dict) or among("balanced")(value)


def RANDOM_STATE(value: Any) -> bool:
    """What scikit-learn draws from."""
    return value is None or isinstance(value, np.random.RandomState | int | np.integer)


class Classifier(ClassifierMixin, BaseEstimator):
    """A scikit-learn classifier that checks what it is given and predicts by its form.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        At least two, sorted.
    n_features_in_ : int
    """

    form: ClassVar[Form]
    rules: ClassVar[Mapping[str, Rule]]
    classes_: AnyArray

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid.

        Raises
        ------
        ValueError
            One is not; it and its value are named.
        """
        for name, rule in self.rules.items():
            if not rule(getattr(self, name)):
                raise ValueError(
                    f"The {name!r} parameter of {type(self).__name__} cannot be "
                    f"{getattr(self, name)!r}"
                )

    def predict(self, X: AnyArray) -> AnyArray:
        """The likeliest classes, or those of the largest margins, shape (n,)."""
        answers = self._answers(X)
        second = answers.shape[1] == 1
        best = (answers[:, 0] > 0).astype(np.intp) if second else answers.argmax(axis=1)
        return np.asarray(self.classes_[best])

    def _answers(self, X: Any) -> AnyArray:
        """What the form computes of ``X`` (n, n_features)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        arrays, settings = self.form.frozen(self)
        return np.asarray(self.form.compute(X, SimpleNamespace(**arrays, **settings)))

    def _training(self, X: Any, y: Any) -> tuple[AnyArray, NDArray[np.intp]]:
        """``X`` in float32 or float64 and class indices; sets ``classes_``.

        Raises
        ------
        ValueError
            A parameter is not valid, ``X`` is not finite or not of the length of ``y``, or there
            are fewer than two classes.
        """
        self.check_parameters()
        X, y = validate_data(self, X, y, dtype=FLOATS)
        # scikit-learn's own check warns of many classes among few images, which is few-shot
        if y.dtype.kind == "f" and (y != np.round(y)).any():
            raise ValueError("Unknown label type: continuous numbers are not classes.")
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"A classifier needs two classes; got one class: {self.classes_[0]}.")
        return X, indices

    def _weights(self, sample_weight: Any, indices: NDArray[np.intp]) -> FloatArray:
        """Weights of rows times those of their classes (``class_weight``).

        Raises
        ------
        ValueError
            Some are negative or not finite, all are 0, or there are not as many as rows.
        """
        of_classes = compute_sample_weight(
            self.get_params()["class_weight"], self.classes_[indices]
        )
        if sample_weight is None:
            return np.asarray(of_classes)
        if isinstance(sample_weight, Real):
            sample_weight = np.full(len(indices), sample_weight)
        given = check_array(
            sample_weight, dtype=np.float64, ensure_2d=False, input_name="sample_weight"
        )
        if given.ndim != 1:
            raise ValueError(f"Sample weights must be 1D array or scalar, got {given.ndim}D array.")
        check_consistent_length(given, indices)
        if (given < 0).any() or not given.any():
            raise ValueError("Sample weights must not be negative, nor all zero.")
        return np.asarray(given * of_classes)
