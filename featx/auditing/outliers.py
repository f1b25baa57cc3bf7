"""Images that are far from all others, by the measure of the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["outlier_scores"]

LIMIT = 3.5  # Iglewicz and Hoaglin
_TO_SIGMA = 1.4826  # of a normal distribution, over its median absolute deviation


def outlier_scores(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Robust z-scores of the mean distance to the nearest neighbours.

    Parameters
    ----------
    similarities : ndarray of shape (n, k)
        Cosines with the ``k`` nearest others.

    Returns
    -------
    ndarray of shape (n,)
        The logarithm of the distance less its median over all images, in units of the median
        absolute deviation. Above `LIMIT` is an outlier (Iglewicz and Hoaglin, "How to detect and
        handle outliers", 1993): of normally distributed values 1 in 4,000 lies there.
    """
    if similarities.shape[1] == 0:
        return np.zeros(len(similarities))
    distance = np.log(np.maximum(1 - similarities.astype(np.float64), 1e-6).mean(axis=1))
    away = distance - np.median(distance)
    spread = _TO_SIGMA * np.median(np.abs(away))
    return away / spread if spread > 0 else np.zeros(len(away))
