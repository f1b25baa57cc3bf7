"""Nearest neighbours, weighted by distance."""

from __future__ import annotations

from typing import Any

from featx.heads._head import Head, Params
from featx.heads._space import Integer


def build(class_weight: str | None, random_state: int) -> Any:
    """Brute force: trees do not help in hundreds of dimensions and are not plain arrays."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(weights="distance", algorithm="brute")


def limit(params: Params, n_images: int) -> Params:
    """No more neighbours than there are images."""
    return {**params, "n_neighbors": min(params.get("n_neighbors", n_images), n_images)}


PLUGIN = Head(
    name="knn",
    summary="nearest neighbours weighted by distance",
    build=build,
    param_grid={"n_neighbors": [30, 10, 5, 3, 1]},
    supports_class_weight=False,
    limit=limit,
    space={"n_neighbors": Integer(1, 100, log=True)},
)
