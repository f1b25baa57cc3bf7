"""What of the training images travels with a model, so that new images can be held against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from featx.artifact.arrays import ModelArrays
from featx.heads import integers, singles
from featx.types import AnyArray, Float32Array, IntArray


@dataclass(frozen=True, eq=False)
class Drift(ModelArrays):
    """Axes in the space of the embeddings, and where a sample of the training images lies on them.

    The axes were fitted on other training images than those of the sample: to both the sample and
    new images they are just as foreign. Embeddings cannot be had back from so few coordinates.

    Parameters
    ----------
    centre, scale : ndarray of shape (n_features,), float32
        Of embeddings, not standardised by any scaler.
    directions : ndarray of shape (n_axes, n_features), float32
        Orthonormal.
    places : ndarray of shape (n, n_axes + 1), float32
        Of the sample; see `locate`.
    blocks : ndarray of shape (n,), int64
        Images with the same number belong together: one patient's, or exact copies.
    predicted : ndarray of shape (n,), int64
        Index of the class that classifiers which had not seen the image predicted for it.
    probabilities : ndarray of shape (n,), float32
        That they gave it.
    """

    WORDS = "the reference sample for the drift test"
    FIELDS: ClassVar = {
        "centre": singles("n_features"),
        "scale": singles("n_features"),
        "directions": singles("n_axes", "n_features"),
        "places": singles("n", "n_places"),
        "blocks": integers("n"),
        "predicted": integers("n"),
        "probabilities": singles("n"),
    }

    centre: Float32Array
    scale: Float32Array
    directions: Float32Array
    places: Float32Array
    blocks: IntArray
    predicted: IntArray
    probabilities: Float32Array

    def locate(self, X: AnyArray) -> Float32Array:
        """Coordinates of embeddings; see `locate`."""
        return locate(X, self.centre, self.scale, self.directions)

    def sound(self, **sizes: int) -> bool:
        """Whether the places are along the axes, and the classes those of the model."""
        predicted, n_places = self.predicted, len(self.directions) + 1
        return bool(
            len(predicted)
            and self.places.shape[1] == n_places
            and (self.scale > 0).all()
            and predicted.min() >= 0
            and predicted.max() < sizes["n_classes"]
        )


def locate(
    X: AnyArray,
    centre: Float32Array,
    scale: Float32Array,
    directions: Float32Array,
) -> Float32Array:
    """Coordinates of embeddings, in what they differ most from each other and in all the rest.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    centre, scale, directions : ndarray
        See `Drift`.

    Returns
    -------
    ndarray of shape (n, n_axes + 1), float32
        Along each axis, and last how far off all axes: the root of the mean square of what is
        left of each feature.
    """
    Z = (X.astype(np.float64) - centre) / scale
    along = Z @ directions.T.astype(np.float64)
    squares = (Z**2).sum(axis=1) - (along**2).sum(axis=1)
    off = np.sqrt(np.maximum(squares, 0) / Z.shape[1])
    return np.column_stack([along, off]).astype(np.float32)
