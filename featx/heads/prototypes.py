"""Nearest class mean."""

from __future__ import annotations

from typing import Any

from featx.heads._head import Head
from featx.heads._linear import PROTOTYPES
from featx.heads._space import Choice


def build(class_weight: str | None, random_state: int) -> Any:
    """Means, which need no random state; class weights do not move them."""
    from featx.heads._prototypes import PrototypeClassifier

    return PrototypeClassifier()


PLUGIN = Head(
    name="prototypes",
    summary="nearest class mean; for few images a class",
    build=build,
    estimator="PrototypeClassifier",
    form=PROTOTYPES,
    param_grid={"metric": ["cosine", "euclidean"]},
    supports_class_weight=False,
    space={"metric": Choice(["cosine", "euclidean"])},
)
