"""What of the training images travels with a model, so that new images can be held against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.errors import ModelError

__all__ = ["Drift", "locate"]

Float = NDArray[np.float64]

FLOATS = ("centre", "scale", "directions", "places", "probabilities")
NAMES = (*FLOATS, "blocks", "predicted")


@dataclass(frozen=True, eq=False)
class Drift:
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

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    directions: NDArray[np.float32]
    places: NDArray[np.float32]
    blocks: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def locate(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Coordinates of embeddings; see `locate`."""
        return locate(X, self.centre, self.scale, self.directions)

    def encode(self) -> bytes:
        """The arrays as safetensors."""
        from safetensors.numpy import save

        return save({name: np.ascontiguousarray(getattr(self, name)) for name in NAMES})

    @classmethod
    def decode(cls, data: bytes, *, n_features: int, n_classes: int, source: str) -> Drift:
        """Read what `encode` gave.

        Raises
        ------
        ModelError
            It is something else, or its arrays do not fit each other or the model.
        """
        from safetensors.numpy import load

        try:
            drift = cls(**load(data))
            sound = drift._sound(n_features, n_classes)
        except Exception:  # safetensors raises several kinds for bytes that are not its own
            sound = False
        if not sound:
            raise ModelError(f"{source}: what new images are to be held against is malformed.")
        return drift

    def _sound(self, n_features: int, n_classes: int) -> bool:
        floats = [getattr(self, name) for name in FLOATS]
        n, n_axes = len(self.places), len(self.directions)
        return bool(
            all(a.dtype == np.float32 and np.isfinite(a).all() for a in floats)
            and self.centre.shape == self.scale.shape == (n_features,)
            and (self.scale > 0).all()
            and self.directions.shape == (n_axes, n_features)
            and self.places.shape == (n, n_axes + 1)
            and n > 0
            and self.blocks.dtype == self.predicted.dtype == np.int64
            and self.blocks.shape == self.predicted.shape == self.probabilities.shape == (n,)
            and self.predicted.min() >= 0
            and self.predicted.max() < n_classes
        )


def locate(
    X: NDArray[Any],
    centre: NDArray[np.float32],
    scale: NDArray[np.float32],
    directions: NDArray[np.float32],
) -> NDArray[np.float32]:
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
