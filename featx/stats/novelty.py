"""Fitting the out-of-distribution score, and the limit above which an image is flagged.

Mahalanobis distance rather than that to the k-th nearest training image (Sun et al., "Out-of-
distribution detection with deep nearest neighbors", ICML 2022): its arrays are small whatever the
number of images, and (but for a class of one image) no image's embedding travels with the model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from featx.types import Float32Array, FloatArray, IntArray

MOST_COMPONENTS = 64
IMAGES_PER_COMPONENT = 10
POWER_ITERATIONS = 2  # the limit comes from scores with the same error, so more are not needed
LEAST_VARIANCE = 1e-6  # of a standardised feature: one that never varies must not rule the distance


class Spread(NamedTuple):
    """Arrays of `featx.artifact.novelty.Novelty`, by the same names."""

    means: Float32Array
    components: Float32Array
    variances: Float32Array
    rest: Float32Array


def fit_spread(X: Float32Array, y: IntArray, *, seed: int) -> Spread:
    """Class means, and the covariance within classes.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
        Standardised embeddings.
    y : ndarray of shape (n,), int64
    seed : int
        Of the randomised decomposition.

    Returns
    -------
    Spread
        With at most 64 directions, at most one for every 10 images.

    References
    ----------
    Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 53, 2011.
    """
    from sklearn.utils.extmath import randomized_svd

    known, codes = np.unique(y, return_inverse=True)
    means = np.stack([X[codes == c].mean(axis=0) for c in range(len(known))])
    within = X - means[codes]
    n, width = X.shape
    freedom = max(n - len(known), 1)
    n_components = min(MOST_COMPONENTS, n // IMAGES_PER_COMPONENT, width - 1)
    total = float((within.astype(np.float64) ** 2).sum()) / freedom
    if n_components == 0:
        components, variances = np.zeros((0, width)), np.zeros(0)
    else:
        _, values, components = randomized_svd(
            within, n_components, n_iter=POWER_ITERATIONS, random_state=seed
        )
        variances = values.astype(np.float64) ** 2 / freedom
    rest = max((total - variances.sum()) / (width - n_components), LEAST_VARIANCE)
    return Spread(
        means.astype(np.float32),
        components.astype(np.float32),
        np.maximum(variances, rest).astype(np.float32),
        np.array([rest], np.float32),
    )


def alarm_limit(scores: FloatArray, rate: float) -> float:
    """The score that a share ``rate`` of new images like these exceeds, at most.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Of images that the score was not fitted on.
    rate : float
        In (0, 1). Fewer than ``1 / rate - 1`` images cannot guarantee it; the largest of their
        scores is then the limit, and the rate ``1 / (n + 1)``.

    References
    ----------
    Bates et al., "Testing for outliers with conformal p-values", Annals of Statistics 51, 2023.
    """
    rank = int(np.ceil((len(scores) + 1) * (1 - rate) - 1e-9))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])
