"""Nearest neighbours, weighted by distance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from featx.arrays import Array, cast, namespace, smallest
from featx.heads._form import Form, floats, integers
from featx.heads._head import Head, Params, Scored, Training
from featx.heads._rules import whole
from featx.heads._space import Integer
from featx.types import Float32Array


def _votes(distances: Array, labels: Array, n_classes: int) -> Array:
    """Shares of votes weighted by 1 / distance; where any distance is 0, only those count."""
    xp = namespace(distances)
    distances = cast(distances, "float64")
    same = distances == 0
    weights = 1.0 / xp.where(same, 1.0, distances)
    weights = xp.where(same.any(axis=1)[:, None], cast(same, "float64"), weights)
    votes = weights[:, :, None] * cast(labels[:, :, None] == xp.arange(n_classes), "float64")
    votes = votes.sum(axis=1)
    return votes / votes.sum(axis=1, keepdims=True)


def _probabilities(X: Array, a: Any) -> Array:
    """Votes of the nearest training images, shape (n, n_classes)."""
    X, rows = cast(X, "float64"), cast(a.rows, "float64")
    xp = namespace(X)
    near = smallest((rows * rows).sum(axis=1) - 2 * X @ rows.T, a.n_neighbors)
    # distances from differences: an image that was trained on is at 0, whatever was rounded
    apart = X[:, None, :] - rows[near]
    distances = xp.sqrt((apart * apart).sum(axis=2))
    return _votes(distances, xp.asarray(a.labels)[near], a.n_classes)


def _sound(a: Any, n_features: int, n_classes: int) -> bool:
    return bool(
        a.n_classes == n_classes
        and a.n_neighbors <= len(a.rows)
        and a.labels.min() >= 0
        and a.labels.max() < n_classes
    )


def _freeze(classifier: Any) -> dict[str, Any]:
    asked = {name: getattr(classifier, name) for name in ("weights", "p", "metric")}
    if asked != {"weights": "distance", "p": 2, "metric": "minkowski"}:
        raise ValueError(f"its {asked} differ from the ones here")
    return {
        "rows": classifier.X_,
        "labels": classifier.y_,
        "n_neighbors": int(classifier.n_neighbors),
        "n_classes": len(classifier.classes_),
    }


NEIGHBOURS = Form(
    output="proba",
    arrays={"rows": floats("n_rows", "n_features"), "labels": integers("n_rows")},
    settings={"n_neighbors": whole(1), "n_classes": whole(2)},
    compute=_probabilities,
    freeze=_freeze,
    thaw=lambda classifier, a: classifier.fit(a.rows, classifier.classes_[a.labels]),
    sound=_sound,
    numbers=lambda a: 2 * len(a.rows) + a.n_neighbors * (2 * a.rows.shape[1] + a.n_classes),
)


def build(class_weight: str | None, random_state: int) -> Any:
    """Brute force: trees do not help in hundreds of dimensions."""
    from featx.heads._neighbours import NearestClassifier

    return NearestClassifier(weights="distance", algorithm="brute")


def limit(params: Params, n_images: int) -> Params:
    """No more neighbours than there are images."""
    return {**params, "n_neighbors": min(params.get("n_neighbors", n_images), n_images)}


def score_grid(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored] | None:
    """Every ``n_neighbors`` from one search for the most; None where more than that differs."""
    for classifier in classifiers:
        plain = build(None, 0).set_params(n_neighbors=classifier.n_neighbors)
        if plain.get_params() != classifier.get_params():
            return None
    return _score_each(training, classifiers, others)


def _score_each(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored]:
    most = max(classifiers, key=lambda c: c.n_neighbors).fit(training.X, training.y)
    classes, y = np.unique(training.y, return_inverse=True)
    found = [most.kneighbors(X) for X in others]
    for classifier in classifiers:
        k = classifier.n_neighbors
        proba = [_votes(apart[:, :k], y[near[:, :k]], len(classes)) for apart, near in found]
        yield Scored(proba, stopped_early=False)


PLUGIN = Head(
    name="knn",
    summary="nearest neighbours weighted by distance",
    build=build,
    estimator="NearestClassifier",
    form=NEIGHBOURS,
    param_grid={"n_neighbors": [30, 10, 5, 3, 1]},
    supports_class_weight=False,
    limit=limit,
    score_grid=score_grid,
    space={"n_neighbors": Integer(1, 100, log=True)},
)
