"""Ridge regression on class indicators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from featx.heads._head import Head
from featx.heads._linear import LOGITS
from featx.heads._space import Real


def _thaw(classifier: Any, a: Any) -> None:
    """Fitted to one made row a class, so that it has all that a fitted one has."""
    rows = np.eye(len(classifier.classes_), a.coef.shape[1])
    classifier.fit(rows, classifier.classes_)
    classifier.coef_, classifier.intercept_ = a.coef.copy(), a.intercept.copy()


RIDGE = replace(LOGITS, thaw=_thaw)


def build(class_weight: str | None, random_state: int) -> Any:
    """Closed form, which needs no random state."""
    from sklearn.linear_model import RidgeClassifier

    return RidgeClassifier(class_weight=class_weight, solver="cholesky")


PLUGIN = Head(
    name="ridge",
    summary="ridge regression on class indicators; fast",
    build=build,
    estimator="RidgeClassifier",
    form=RIDGE,
    param_grid={"alpha": [1e5, 1e4, 1e3, 1e2, 1e1]},
    supports_class_weight=True,
    space={"alpha": Real(1e-1, 1e7, log=True)},
)
