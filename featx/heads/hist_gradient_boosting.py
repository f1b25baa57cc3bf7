"""Boosted trees."""

from __future__ import annotations

from typing import Any

from featx.heads import _validation
from featx.heads._head import Head, Params
from featx.heads._space import Integer, Real
from featx.heads._trees import TREES

IMAGES_A_LEAF = 20  # so many images for each that a leaf needs


def build(class_weight: str | None, random_state: int) -> Any:
    """scikit-learn's histogram gradient boosting, early stopping."""
    from featx.heads._boosting import BoostedTreesClassifier

    return BoostedTreesClassifier(class_weight=class_weight, random_state=random_state)


def limit(params: Params, n_images: int) -> Params:
    """Smaller leaves for few images, which could not be divided else; unless asked for."""
    smallest = min(10, max(1, n_images // IMAGES_A_LEAF))
    return {"min_samples_leaf": smallest, **params}


PLUGIN = Head(
    name="hist-gradient-boosting",
    summary="boosted trees on histograms, early stopping",
    build=build,
    estimator="BoostedTreesClassifier",
    form=TREES,
    param_grid={"max_leaf_nodes": [4, 15]},
    supports_class_weight=True,
    seeded=True,
    limit=limit,
    score_grid=_validation.score_grid,
    refit=_validation.refit,
    space={
        "learning_rate": Real(0.02, 0.3, log=True),
        "max_leaf_nodes": Integer(2, 63, log=True),
        "min_samples_leaf": Integer(1, 50, log=True),
        "l2_regularization": Real(1e-2, 1e2, log=True),
        "max_features": Real(0.05, 1.0, log=True),
    },
)
