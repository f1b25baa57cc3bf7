"""Support vector machine with a radial basis function kernel."""

from __future__ import annotations

from typing import Any

from featx.heads import _kernel
from featx.heads._head import Head
from featx.heads._space import Real
from featx.heads._vectors import VECTORS


def build(class_weight: str | None, random_state: int) -> Any:
    """``break_ties`` makes ``predict`` agree with the largest margin."""
    from sklearn.svm import SVC

    return SVC(kernel="rbf", class_weight=class_weight, break_ties=True)


PLUGIN = Head(
    name="svm-rbf",
    summary="support vector machine, radial basis function kernel",
    build=build,
    estimator="SVC",
    form=VECTORS,
    # "scale" is 1 / n_features on standardised embeddings.
    param_grid={"C": [0.1, 1.0, 10.0, 100.0], "gamma": ["scale", 1e-4]},
    supports_class_weight=True,
    score_grid=_kernel.score_grid,
    refit=_kernel.refit,
    space={"C": Real(1e-2, 1e4, log=True), "gamma": Real(1e-6, 1.0, log=True)},
)
