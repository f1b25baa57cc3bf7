"""Nearest neighbours, weighted by distance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.heads._head import Head, Params, Scored, Training
from featx.heads._space import Integer


def build(class_weight: str | None, random_state: int) -> Any:
    """Brute force: trees do not help in hundreds of dimensions and are not plain arrays."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(weights="distance", algorithm="brute")


def limit(params: Params, n_images: int) -> Params:
    """No more neighbours than there are images."""
    return {**params, "n_neighbors": min(params.get("n_neighbors", n_images), n_images)}


def score_grid(
    training: Training, classifiers: Sequence[Any], others: Sequence[NDArray[np.float32]]
) -> Iterator[Scored] | None:
    """Every ``n_neighbors`` from one search for the most; None where more than that differs."""
    for classifier in classifiers:
        plain = build(None, 0).set_params(n_neighbors=classifier.n_neighbors)
        if plain.get_params() != classifier.get_params():
            return None
    return _score_each(training, classifiers, others)


def _score_each(
    training: Training, classifiers: Sequence[Any], others: Sequence[NDArray[np.float32]]
) -> Iterator[Scored]:
    most = max(classifiers, key=lambda c: c.n_neighbors).fit(training.X, training.y)
    classes, y = np.unique(training.y, return_inverse=True)
    found = [most.kneighbors(X) for X in others]
    for classifier in classifiers:
        k = classifier.n_neighbors
        said = [_vote(distances[:, :k], y[near[:, :k]], len(classes)) for distances, near in found]
        yield Scored(said, stopped_early=False)


def _vote(distances: NDArray[Any], labels: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    """Shares of votes weighted by 1 / distance; where any distance is 0, only those count."""
    with np.errstate(divide="ignore"):
        weights = 1.0 / distances.astype(np.float64)
    same = np.isinf(weights)
    weights = np.where(same.any(axis=1, keepdims=True), same, weights)
    votes = np.zeros((len(labels), n_classes))
    np.add.at(votes, (np.arange(len(labels))[:, None], labels), weights)
    return np.asarray(votes / votes.sum(axis=1, keepdims=True))


PLUGIN = Head(
    name="knn",
    summary="nearest neighbours weighted by distance",
    build=build,
    param_grid={"n_neighbors": [30, 10, 5, 3, 1]},
    supports_class_weight=False,
    limit=limit,
    score_grid=score_grid,
    space={"n_neighbors": Integer(1, 100, log=True)},
)
