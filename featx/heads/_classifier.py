"""What the classifiers that featx brings itself have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["Classifier"]

FLOATS = [np.float64, np.float32]


class Classifier(ClassifierMixin, BaseEstimator):
    """A scikit-learn classifier that checks what it is given.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        At least two, sorted.
    n_features_in_ : int
    """

    classes_: NDArray[Any]

    def _training(self, X: Any, y: Any) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """``X`` in float32 or float64 and class indices; sets ``classes_``.

        Raises
        ------
        ValueError
            A parameter is not valid, ``X`` is not finite or not of the length of ``y``, or there
            are fewer than two classes.
        """
        self._validate_params()
        X, y = validate_data(self, X, y, dtype=FLOATS)
        # scikit-learn's own check warns of many classes among few images, which is few-shot
        if y.dtype.kind == "f" and (y != np.round(y)).any():
            raise ValueError("Unknown label type: continuous numbers are no classes.")
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"A classifier needs two classes; got one class: {self.classes_[0]}.")
        return X, indices

    def _embeddings(self, X: Any) -> NDArray[Any]:
        """``X`` (n, n_features) in float32 or float64, of the width that was fitted."""
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=FLOATS, reset=False))
