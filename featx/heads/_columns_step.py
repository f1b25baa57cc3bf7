"""Other columns behind an embedding as a step of scikit-learn's pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from featx.heads._columns import encode_columns, fit_columns
from featx.types import AnyArray


class ColumnEncoder(TransformerMixin, BaseEstimator):
    """Raw rows to encoded ones; see `featx.heads._columns`.

    Parameters
    ----------
    categorical : sequence of bool
        Of each of the last columns of a raw row, whether it holds codes of categories.

    Attributes
    ----------
    source_, level_, fill_ : ndarray
        As `featx.heads._columns.fit_columns` gives them.
    n_features_in_ : int
        Width of a raw row.
    """

    def __init__(self, categorical: Sequence[bool] = ()) -> None:
        self.categorical = categorical

    def fit(self, X: AnyArray, y: Any = None) -> ColumnEncoder:
        """Learn medians and categories of the last columns; ``y`` is not used."""
        self.n_features_in_ = X.shape[1]
        found = fit_columns(X[:, self.width :], self.categorical)
        self.source_, self.level_, self.fill_ = (found[k] for k in ("source", "level", "fill"))
        return self

    @property
    def width(self) -> int:
        """Width of the embedding."""
        return int(self.n_features_in_) - len(self.categorical)

    def transform(self, X: AnyArray) -> AnyArray:
        """Encoded rows, in the type of ``X``."""
        return encode_columns(np.asarray(X), self.width, self.source_, self.level_, self.fill_)
