"""Boosted trees that NumPy computes: all trees at once, level by level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.artifact.linear import ArrayHead, read_scaler
from featx.artifact.saved import SavedObject, UnfamiliarError
from featx.margins import margin_probabilities

__all__ = ["BOOSTED", "MAX_DEPTH", "Trees", "TreesHead", "read_trees"]

BOOSTED = "featx.heads._boosting.BoostedTreesClassifier"
MAX_DEPTH = 255  # levels below a root
CHUNK_NUMBERS = 1 << 20  # places in trees held at once


@dataclass(frozen=True, eq=False)
class Trees:
    """Trees whose sums are scores.

    Parameters
    ----------
    feature : ndarray of shape (n_nodes,), int
        Compared at each node.
    threshold : ndarray of shape (n_nodes,), float64
        Embeddings up to it go left.
    left, right : ndarray of shape (n_nodes,), int
        Nodes to go to; a leaf leads to itself.
    value : ndarray of shape (n_nodes,), float64
        Of leaves.
    roots : ndarray of shape (n_rounds * n_outputs,), int
        One tree an output, round by round.
    baseline : ndarray of shape (n_outputs,), float64
        Where scores start: one a class, or the second class's log-odds for two.
    """

    feature: NDArray[Any]
    threshold: NDArray[np.float64]
    left: NDArray[Any]
    right: NDArray[Any]
    value: NDArray[np.float64]
    roots: NDArray[Any]
    baseline: NDArray[np.float64]

    def are_sound(self, n_features: int, n_classes: int) -> bool:
        """Whether every index leads somewhere and every root to leaves, in `MAX_DEPTH` levels."""
        n_nodes, n_outputs = len(self.value), 1 if n_classes == 2 else n_classes
        nodes = (self.feature, self.threshold, self.left, self.right, self.value)
        indices = (self.left, self.right, self.roots)
        if not (
            n_classes >= 2
            and all(a.shape == (n_nodes,) for a in nodes)
            and all(a.ndim == 1 and a.dtype.kind == "i" for a in (self.feature, *indices))
            and all(a.dtype == np.float64 for a in (self.threshold, self.value, self.baseline))
            and all(((a >= 0) & (a < n_nodes)).all() for a in indices)
            and ((self.feature >= 0) & (self.feature < n_features)).all()
            and self.baseline.shape == (n_outputs,)
            and len(self.roots) % n_outputs == 0
        ):
            return False
        leaves = self.left == np.arange(n_nodes)
        if (self.right[leaves] != self.left[leaves]).any():
            return False
        level = np.unique(self.roots)
        for _ in range(MAX_DEPTH + 1):
            level = level[~leaves[level]]
            if len(level) == 0:
                return True
            level = np.unique(np.concatenate([self.left[level], self.right[level]]))
        return False

    def scores(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Scores of ``X`` (n, n_features), shape (n, n_outputs), added up round by round."""
        scores = np.tile(self.baseline, (len(X), 1))
        rows = max(1, CHUNK_NUMBERS // max(1, len(self.roots)))
        for start in range(0, len(X), rows):
            part = scores[start : start + rows]
            values = self.value[self._leaves(X[start : start + rows])]
            for step in values.reshape(len(part), -1, len(self.baseline)).transpose(1, 0, 2):
                part += step
        return scores

    def _leaves(self, X: NDArray[Any]) -> NDArray[Any]:
        """Where each embedding ends in each tree, shape (n, n_trees)."""
        nodes = np.tile(self.roots, (len(X), 1))
        rows = np.arange(len(X))[:, None]
        while True:
            goes_left = X[rows, self.feature[nodes]] <= self.threshold[nodes]
            below = np.where(goes_left, self.left[nodes], self.right[nodes])
            if np.array_equal(below, nodes):
                return nodes
            nodes = below

    def probabilities(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities, shape (n, n_classes): the logistic function, or softmax, of the scores."""
        scores = self.scores(X)
        if scores.shape[1] == 1:
            scores = np.hstack([np.zeros_like(scores), scores])
        return margin_probabilities(scores, 1.0)


@dataclass(frozen=True, eq=False)
class TreesHead(ArrayHead):
    """Boosted trees.

    Parameters
    ----------
    trees : Trees
    """

    trees: Trees

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities, shape (n, n_classes)."""
        return self.trees.probabilities(self.scaler(X))

    def predict(self, X: NDArray[Any]) -> NDArray[np.str_]:
        """The likeliest classes, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def read_trees(steps: list[SavedObject], rebuild: Callable[[], Any]) -> TreesHead:
    """The boosted trees that the steps of a pipeline are.

    Raises
    ------
    UnfamiliarError, KeyError, TypeError
        They are something else, or not what featx would have fitted.
    """
    head = steps[-1]
    if head.class_name != BOOSTED:
        raise UnfamiliarError
    scaler, classes = read_scaler(steps), head.texts("classes_")
    n_nodes, n_outputs = len(head.counts("left_")), 1 if len(classes) == 2 else len(classes)
    trees = Trees(
        feature=head.counts("feature_"),
        threshold=head.floats("threshold_", (n_nodes,)),
        left=head.counts("left_"),
        right=head.counts("right_"),
        value=head.floats("value_", (n_nodes,)),
        roots=head.counts("roots_"),
        baseline=head.floats("baseline_", (n_outputs,)),
    )
    width = scaler.n_features
    if head.value("n_features_in_") != width or not trees.are_sound(width, len(classes)):
        raise UnfamiliarError
    return TreesHead(classes, scaler, rebuild, trees)
