"""How far an embedding lies from those that the model was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from featx.artifact.arrays import ModelArrays
from featx.heads import singles
from featx.types import AnyArray, Float32Array, FloatArray


@dataclass(frozen=True, eq=False)
class Novelty(ModelArrays):
    """Mahalanobis distance to the nearest class mean, all classes with one covariance.

    The covariance has ``n_components`` directions of its own and is the same in all others, so
    that it is small enough to travel with a model, and sound with fewer images than features.

    Parameters
    ----------
    means : ndarray of shape (n_known_classes, n_features), float32
        Of standardised embeddings.
    components : ndarray of shape (n_components, n_features), float32
        Orthonormal directions of the largest variance within classes.
    variances : ndarray of shape (n_components,), float32
        Along them; at least ``rest``.
    rest : ndarray of shape (1,), float32
        Variance along every other direction; positive.

    References
    ----------
    Lee et al., "A simple unified framework for detecting out-of-distribution samples and
    adversarial attacks", NeurIPS 2018, for the distance; Tipping and Bishop, "Probabilistic
    principal component analysis", JRSS B 61, 1999, for the covariance.
    """

    WORDS = "the data for the out-of-distribution score"
    FIELDS: ClassVar = {
        "means": singles("n_known_classes", "n_features"),
        "components": singles("n_components", "n_features"),
        "variances": singles("n_components"),
        "rest": singles(1),
    }

    means: Float32Array
    components: Float32Array
    variances: Float32Array
    rest: Float32Array

    def scores(self, X: AnyArray) -> FloatArray:
        """Distance of each embedding, shape (n,), float64.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            Standardised by the model's own scaler.

        Returns
        -------
        ndarray of shape (n,), float64
            Divided by the root of ``n_features``: near 1 for images like the training images.
        """
        X, means = X.astype(np.float64), self.means.astype(np.float64)
        # as if every direction had the variance of the rest, less what the others' is larger by
        rest = float(self.rest[0])
        axes = self.components.T * np.sqrt(1 / rest - 1 / self.variances.astype(np.float64))
        squares = _squares(X, means) / rest - _squares(X @ axes, means @ axes)
        return np.asarray(np.sqrt(np.maximum(squares.min(axis=1), 0) / X.shape[1]))

    def sound(self, **sizes: int) -> bool:
        """Whether no direction varies less than the rest."""
        rest = self.rest[0]
        return bool(len(self.means) and rest > 0 and (self.variances >= rest).all())


def _squares(a: FloatArray, b: FloatArray) -> FloatArray:
    """Squared distance of each row of ``a`` to each of ``b``, shape (len(a), len(b))."""
    return np.asarray((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T)
