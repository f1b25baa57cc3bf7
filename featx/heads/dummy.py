"""The majority class: what a classifier that looks at no image gets."""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.arrays import cast
from featx.heads._form import Form, doubles
from featx.heads._head import Head


def _freeze(classifier: Any) -> dict[str, Any]:
    if classifier.strategy != "prior":
        raise ValueError(f"its strategy is {classifier.strategy!r}")
    return {"prior": classifier.class_prior_}


def _thaw(classifier: Any, a: Any) -> None:
    """Fitted to one row a class, so that it has all that a fitted one has."""
    classes, width = classifier.classes_, classifier.n_features_in_
    classifier.fit(np.zeros((len(classes), 1)), classes)
    classifier.class_prior_, classifier.n_features_in_ = a.prior.copy(), width


PRIOR = Form(
    output="proba",
    arrays={"prior": doubles("n_classes")},
    compute=lambda X, a: 0 * cast(X[:, :1], "float64") + a.prior,
    freeze=_freeze,
    thaw=_thaw,
)


def build(class_weight: str | None, random_state: int) -> Any:
    """Always the most frequent class, with the class frequencies as probabilities."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


PLUGIN = Head(
    name="dummy",
    summary="always the most frequent class; the floor to beat",
    build=build,
    estimator="DummyClassifier",
    form=PRIOR,
    param_grid={},
    supports_class_weight=False,
)
