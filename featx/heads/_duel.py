"""scikit-learn's support vector classifier for two classes and a kernel matrix, sooner."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

__all__ = ["Duel"]


class Duel(SVC):
    """``SVC`` whose labels are 0 and 1 in float64 and whose class weights are ``{0: ..., 1: ...}``.

    Looking at labels takes scikit-learn as long as a small fit, and one grid makes thousands.
    """

    @classmethod
    def like(cls, classifier: Any) -> Duel:
        """Unfitted, with a classifier's parameters, for a kernel matrix."""
        return cls(**{**classifier.get_params(), "kernel": "precomputed"})

    def _validate_targets(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """A hook of scikit-learn's `fit`; without it the checks are made and all else is equal."""
        self.classes_ = np.array([0.0, 1.0])
        self.class_weight_ = np.array([self.class_weight[0], self.class_weight[1]])
        return y
