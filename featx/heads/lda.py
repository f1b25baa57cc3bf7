"""Linear discriminant analysis with a shrunken covariance."""

from __future__ import annotations

from typing import Any

from featx.heads._head import Head
from featx.heads._space import Real


def build(class_weight: str | None, random_state: int) -> Any:
    """Least squares, the solver that shrinks; class weights mean nothing to it."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis(solver="lsqr")


PLUGIN = Head(
    name="lda",
    summary="linear discriminant analysis, shrunken covariance",
    build=build,
    param_grid={"shrinkage": [0.9, 0.5, 0.1, 0.01]},
    supports_class_weight=False,
    space={"shrinkage": Real(1e-4, 1.0, log=True)},
)
