"""Ridge regression on class indicators."""

from __future__ import annotations

from typing import Any

from featx.heads._head import Head
from featx.heads._space import Real


def build(class_weight: str | None, random_state: int) -> Any:
    """Closed form, which needs no random state."""
    from sklearn.linear_model import RidgeClassifier

    return RidgeClassifier(class_weight=class_weight, solver="cholesky")


PLUGIN = Head(
    name="ridge",
    summary="ridge regression on class indicators; fast",
    build=build,
    param_grid={"alpha": [1e5, 1e4, 1e3, 1e2, 1e1]},
    supports_class_weight=True,
    space={"alpha": Real(1e-1, 1e7, log=True)},
)
