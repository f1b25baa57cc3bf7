"""Images that are far from all others, by the measure of the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIMIT", "outlier_scores"]

LIMIT = 3.5  # Iglewicz and Hoaglin
AXES = 32  # principal components that distances are taken in
NEIGHBOURS = 50  # more than strange images of one kind that are each other's neighbours
_TO_SIGMA = 1.4826  # of a normal distribution, over its median absolute deviation


def outlier_scores(X: NDArray[np.float32], *, seed: int) -> NDArray[np.float64]:
    """Robust z-scores of the mean distance to the nearest neighbours.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
        Embeddings.
    seed : int
        Of the randomised decomposition.

    Returns
    -------
    ndarray of shape (n,)
        Of the mean distance to the 50 nearest images (half of the others, where there are fewer),
        along the first 32 principal components of standardised embeddings, the logarithm less its
        median over all images, in units of the median absolute deviation. Above `LIMIT` is an
        outlier (Iglewicz and Hoaglin, "How to detect and handle outliers", 1993): of normally
        distributed values 1 in 4,000 lies there.

    Notes
    -----
    Distances to the nearest neighbours as a score: Ramaswamy, Rastogi and Shim, "Efficient
    algorithms for mining outliers from large data sets", SIGMOD 2000. Cosines do not do: they are
    bounded, and do not see how far out an image lies.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    n, n_features = X.shape
    standard = StandardScaler().fit_transform(X)
    if n < 3 or not standard.any():
        return np.zeros(n)
    places = PCA(min(AXES, n - 1, n_features), random_state=seed).fit_transform(standard)
    k = max(1, min(NEIGHBOURS, (n - 1) // 2))
    # brute force: in 32 dimensions trees are no faster, and all images need no more memory so
    search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(places)
    distance = search.kneighbors(places)[0][:, 1:].mean(axis=1, dtype=np.float64)
    logs = np.log(np.maximum(distance, 1e-12))
    away = logs - np.median(logs)
    spread = _TO_SIGMA * np.median(np.abs(away))
    return np.asarray(away / spread) if spread > 0 else np.zeros(n)
