"""Nearest class mean, as a linear classifier with margins."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from featx.heads._classifier import Classifier
from featx.heads._linear import PROTOTYPES, unit_rows
from featx.heads._rules import among
from featx.types import AnyArray, FloatArray


class PrototypeClassifier(Classifier):
    """The class whose mean is nearest; one image a class is enough.

    scikit-learn's ``NearestCentroid`` takes its probabilities from the spread within the classes,
    which is 0 where each has one image, and as if features were independent, which makes them too
    sure. This one has margins, and featx calibrates them out of fold.

    Parameters
    ----------
    metric : {"cosine", "euclidean"}, default "cosine"
        ``"euclidean"``: the margin of a class is minus half the squared distance to its mean, a
        feature, up to what all classes share. ``"cosine"``: it is the cosine of the angle to the
        mean of the class's embeddings, each scaled to length 1.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two, float64
    intercept_ : ndarray of shape (n_classes,), or (1,) for two, float64
        Margins are ``X @ coef_.T + intercept_``; with ``"cosine"``, of rows of length 1.
    unit_ : bool
        Whether rows are scaled to length 1.
    n_features_in_ : int

    References
    ----------
    Snell et al., "Prototypical networks for few-shot learning", NeurIPS 2017, section 2.4: why
    the nearest mean is linear. Wang et al., "SimpleShot", arXiv 1911.04623: centred embeddings of
    length 1, whose nearest mean is hard to beat with few images.
    """

    form = PROTOTYPES
    rules: ClassVar = {"metric": among("cosine", "euclidean")}

    def __init__(self, metric: str = "cosine") -> None:
        self.metric = metric

    def fit(self, X: AnyArray, y: AnyArray) -> PrototypeClassifier:
        """Take the mean of each class.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), float32 or float64
        y : ndarray of shape (n,)
            At least two classes.

        Returns
        -------
        PrototypeClassifier
            Itself.

        Raises
        ------
        ValueError
            One class only, embeddings that are not finite, or another ``metric``.
        """
        X, indices = self._training(X, y)
        self.unit_ = self.metric == "cosine"
        X = unit_rows(X) if self.unit_ else X.astype(np.float64)
        means = np.stack([X[indices == c].mean(axis=0) for c in range(len(self.classes_))])
        if self.unit_:
            coef, intercept = unit_rows(means), np.zeros(len(means))
        else:
            coef, intercept = means / X.shape[1], -0.5 * (means**2).mean(axis=1)
        if len(self.classes_) == 2:
            coef, intercept = np.diff(coef, axis=0), np.diff(intercept)
        self.coef_, self.intercept_ = coef, intercept
        return self

    def decision_function(self, X: AnyArray) -> FloatArray:
        """Margins, shape (n,) for two classes (of the second), else (n, n_classes)."""
        margins = self._answers(X)
        return margins.ravel() if len(self.classes_) == 2 else margins
