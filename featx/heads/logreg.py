"""Multinomial logistic regression."""

from __future__ import annotations

from typing import Any

from featx.heads._head import Head


def build(class_weight: str | None, random_state: int) -> Any:
    """L2-penalised, by L-BFGS, which needs no random state."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=2000, class_weight=class_weight)


PLUGIN = Head(
    name="logreg",
    summary="logistic regression with an L2 penalty",
    build=build,
    param_grid={"C": [1e-4, 1e-3, 1e-2, 1e-1, 1.0]},
    supports_class_weight=True,
)
