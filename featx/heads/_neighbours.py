"""scikit-learn's nearest neighbours that keep what they were fitted to in public."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import check_array

from featx.types import AnyArray


class NearestClassifier(KNeighborsClassifier):
    """``KNeighborsClassifier`` with two attributes more.

    Attributes
    ----------
    X_ : ndarray of shape (n, n_features), float32 or float64
        Training rows.
    y_ : ndarray of shape (n,), int
        Their class indices.
    """

    def fit(self, X: AnyArray, y: AnyArray) -> NearestClassifier:
        """As scikit-learn's."""
        super().fit(X, y)
        self.X_ = check_array(X, dtype=[np.float64, np.float32])
        self.y_ = np.searchsorted(self.classes_, y).astype(np.int64)
        return self
