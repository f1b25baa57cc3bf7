"""Images in emptier surroundings than those next to them."""

from __future__ import annotations

import numpy as np

from featx import console
from featx.types import Float32Array, FloatArray

LIMIT = 5.0
SPARSER = 1.5  # times as sparse as is usual: no outlier is below that, however even all others are
AXES = 32  # principal components that distances are taken in
NEIGHBOURS = 100  # more than strange images of one kind that are each other's neighbours
FEWEST, SHARE = 20, 0.05  # neighbours, and of all images, where there are few
_TO_SIGMA = 1.4826  # of a normal distribution, over its median absolute deviation


@console.stage("Looking for outliers")
def outlier_scores(X: Float32Array, *, seed: int) -> FloatArray:
    """Robust z-scores of how sparse an image's surroundings are beside its neighbours' own.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
        Embeddings.
    seed : int
        Of the randomised decomposition.

    Returns
    -------
    ndarray of shape (n,)
        Of the local outlier factor with 100 neighbours (5 % of the images where these are fewer,
        20 at least, half of the others at most), along the first 32 principal components of
        standardised embeddings, the logarithm less its median over all images, in units of the
        median absolute deviation. Above `LIMIT` is an outlier. The unit is large enough for no
        image to be one whose factor is not 1.5 times the median.

    Notes
    -----
    Breunig, Kriegel, Ng and Sander, "LOF: identifying density-based local outliers", SIGMOD 2000.
    Distances alone (Ramaswamy, Rastogi and Shim, SIGMOD 2000) take the images of a varied class for
    stranger than a tight cluster of foreign ones. The centre and unit are those of Iglewicz and
    Hoaglin, "How to detect and handle outliers", 1993; the factors have a longer tail than a normal
    distribution, so the limit is wider than theirs of 3.5.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.preprocessing import StandardScaler

    n, n_features = X.shape
    standard = StandardScaler().fit_transform(X)
    if n < 3 or not standard.any():
        return np.zeros(n)
    places = PCA(min(AXES, n - 1, n_features), random_state=seed).fit_transform(standard)
    k = min(NEIGHBOURS, max(FEWEST, int(SHARE * n)))
    k = max(1, min(k, (n - 1) // 2))
    # brute force: in 32 dimensions trees are no faster, and all images need no more memory so
    model = LocalOutlierFactor(n_neighbors=k, algorithm="brute").fit(places.astype(np.float64))
    logs = np.log(np.maximum(-model.negative_outlier_factor_, 1e-12))
    away = logs - np.median(logs)
    spread = _TO_SIGMA * float(np.median(np.abs(away)))
    return np.asarray(away / max(spread, np.log(SPARSER) / LIMIT))
