"""The form of boosted trees: all trees at once, level by level."""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.arrays import Array, cast, namespace, take_along
from featx.heads._form import Form, doubles, integers
from featx.margins import margin_probabilities

MAX_DEPTH = 255  # levels below a root


def scores(X: Array, a: Any) -> Array:
    """Scores of ``X`` (n, n_features), shape (n, n_outputs), added up round by round.

    ``a`` has, for every node of all trees one after another, the ``feature`` that is compared, the
    ``threshold`` up to which embeddings go ``left``, else ``right`` (a leaf leads to itself), and a
    leaf's ``value``; the ``roots`` of the trees, one an output in every round; and the
    ``baseline`` where scores start.
    """
    xp, n_outputs = namespace(X), len(a.baseline)
    feature, left, right, roots = map(xp.asarray, (a.feature, a.left, a.right, a.roots))
    nodes = xp.zeros_like(X[:, :1], dtype=xp.int64) + roots
    for _ in range(_depth(a) or 0):
        goes_left = take_along(X, feature[nodes]) <= a.threshold[nodes]
        nodes = xp.where(goes_left, left[nodes], right[nodes])
    values = a.value[nodes]
    total = 0 * cast(X[:, :1], "float64") + a.baseline
    # as scikit-learn adds: one round after another, so that sums are the same bit by bit
    for start in range(0, len(a.roots), n_outputs):
        total = total + values[:, start : start + n_outputs]
    return total


def _probabilities(X: Array, a: Any) -> Array:
    """The logistic function, or softmax, of the scores, shape (n, n_classes)."""
    found = scores(X, a)
    if found.shape[1] == 1:
        xp = namespace(found)
        found = xp.concatenate([xp.zeros_like(found), found], axis=1)
    return margin_probabilities(found, 1.0)


def _depth(a: Any) -> int | None:
    """Levels below the roots; None where more than `MAX_DEPTH` do not lead to leaves."""
    leaves = a.left == np.arange(len(a.left))
    level = np.unique(a.roots)
    for depth in range(MAX_DEPTH + 1):
        level = level[~leaves[level]]
        if len(level) == 0:
            return depth
        level = np.unique(np.concatenate([a.left[level], a.right[level]]))
    return None


def _sound(a: Any, n_features: int, n_classes: int) -> bool:
    """Whether every index leads somewhere and every root to leaves."""
    nodes, n_nodes = np.arange(len(a.value)), len(a.value)
    return bool(
        all(((i >= 0) & (i < n_nodes)).all() for i in (a.left, a.right, a.roots))
        and ((a.feature >= 0) & (a.feature < n_features)).all()
        and len(a.roots) % len(a.baseline) == 0
        and ((a.left == nodes) == (a.right == nodes)).all()
        and _depth(a) is not None
    )


TREES = Form(
    output="proba",
    arrays={
        "feature": integers("n_nodes"),
        "threshold": doubles("n_nodes"),
        "left": integers("n_nodes"),
        "right": integers("n_nodes"),
        "value": doubles("n_nodes"),
        "roots": integers("n_trees"),
        "baseline": doubles("n_outputs"),
    },
    compute=_probabilities,
    sound=_sound,
    numbers=lambda a: 8 * len(a.roots),  # arrays of a node for every tree, while a level is walked
)
