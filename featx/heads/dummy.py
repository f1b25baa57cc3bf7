"""The majority class: what a classifier that looks at no image gets."""

from __future__ import annotations

from typing import Any

from featx.heads._head import Head


def build(class_weight: str | None, random_state: int) -> Any:
    """Always the most frequent class, with the class frequencies as probabilities."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


PLUGIN = Head(
    name="dummy",
    summary="always the most frequent class; the floor to beat",
    build=build,
    param_grid={},
    supports_class_weight=False,
)
