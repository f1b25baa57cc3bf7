"""Multilayer perceptron."""

from __future__ import annotations

from typing import Any

from featx.heads import _validation
from featx.heads._head import Head
from featx.heads._network import NETWORK
from featx.heads._space import Choice, Real


def build(class_weight: str | None, random_state: int) -> Any:
    """One hidden layer, early stopping."""
    from featx.heads._mlp import PerceptronClassifier

    return PerceptronClassifier(class_weight=class_weight, random_state=random_state)


PLUGIN = Head(
    name="mlp",
    summary="multilayer perceptron, early stopping",
    build=build,
    estimator="PerceptronClassifier",
    form=NETWORK,
    param_grid={"hidden_layer_sizes": [64, 256], "weight_decay": [1.0, 0.01]},
    supports_class_weight=True,
    seeded=True,
    score_grid=_validation.score_grid,
    refit=_validation.refit,
    space={
        "hidden_layer_sizes": Choice([32, 64, 128, 256, 512, "256,128"]),
        "weight_decay": Real(1e-4, 10.0, log=True),
        "dropout": Real(0.0, 0.6),
        "activation": Choice(["relu", "gelu", "tanh"]),
        "batch_norm": Choice([False, True]),
        "learning_rate_init": Real(1e-4, 1e-2, log=True),
    },
)
