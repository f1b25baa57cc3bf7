"""A linear head as one hyperplane a class in the space of embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.artifact.linear import LINEAR, ArrayHead, LinearHead

__all__ = ["class_planes"]

Float = NDArray[np.float64]
NAMES = {name.rpartition(".")[2] for name in LINEAR}


def class_planes(head: Any) -> tuple[Float, Float] | None:
    """Scaler, projection and classifier folded into one affine map.

    Parameters
    ----------
    head : sklearn.pipeline.Pipeline, ArrayHead or EnsembleHead
        See `featx.artifact.Model`.

    Returns
    -------
    tuple of (ndarray of shape (n_classes, n_features), ndarray of shape (n_classes,)) or None
        Weights and offsets: differences between classes of ``X @ weights.T + offsets`` are those
        of the head's margins (or log-odds) for embeddings ``X``. None where the head is not linear
        in them: kernels, trees, neighbours, perceptrons, embeddings scaled to length 1, ensembles.
    """
    if isinstance(head, LinearHead):
        if head.unit:
            return None
        scale = 1.0 if head.scaler.scale is None else head.scaler.scale
        mean = 0.0 if head.scaler.mean is None else head.scaler.mean
        weights, offsets = head.coef.astype(np.float64), head.intercept.astype(np.float64)
        return _each_class(*_through(weights, offsets, mean, scale))
    if isinstance(head, ArrayHead) or not hasattr(head, "steps"):
        return None
    *before, (_, classifier) = head.steps
    if type(classifier).__name__ not in NAMES or getattr(classifier, "unit_", False):
        return None
    weights = np.atleast_2d(np.asarray(classifier.coef_, np.float64))
    offsets = np.ravel(np.asarray(classifier.intercept_, np.float64))
    for _, step in reversed(before):
        if type(step).__name__ == "StandardScaler":
            scale = step.scale_ if step.with_std else 1.0
            weights, offsets = _through(
                weights, offsets, step.mean_ if step.with_mean else 0, scale
            )
        elif type(step).__name__ == "PCA":
            projected = weights / np.sqrt(step.explained_variance_) if step.whiten else weights
            weights = projected @ step.components_
            offsets = offsets - weights @ step.mean_
        else:
            return None
    return _each_class(weights, offsets)


def _through(weights: Float, offsets: Float, mean: Any, scale: Any) -> tuple[Float, Float]:
    """The planes before a standardisation."""
    weights = weights / scale
    return weights, offsets - weights @ np.broadcast_to(mean, weights.shape[1])


def _each_class(weights: Float, offsets: Float) -> tuple[Float, Float]:
    """The one plane of two classes is the second's over the first's."""
    if len(weights) > 1:
        return weights, offsets
    return np.vstack([0 * weights, weights]), np.concatenate([0 * offsets, offsets])
