"""Linear support vector machine."""

from __future__ import annotations

from typing import Any

from featx.heads import _kernel
from featx.heads._head import Head
from featx.heads._space import Real
from featx.heads._vectors import VECTORS


def build(class_weight: str | None, random_state: int) -> Any:
    """SVC rather than LinearSVC: on embeddings liblinear needs 59 s where libsvm needs 2.

    ``break_ties`` makes ``predict`` agree with the largest margin.
    """
    from sklearn.svm import SVC

    return SVC(kernel="linear", class_weight=class_weight, break_ties=True)


PLUGIN = Head(
    name="svm-linear",
    summary="support vector machine, linear kernel",
    build=build,
    estimator="SVC",
    form=VECTORS,
    param_grid={"C": [1e-4, 1e-3, 1e-2, 1e-1]},
    supports_class_weight=True,
    score_grid=_kernel.score_grid,
    refit=_kernel.refit,
    space={"C": Real(1e-6, 1e1, log=True)},
)
