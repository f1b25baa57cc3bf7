"""One temperature that turns margins into probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featx.margins import margin_probabilities
from featx.stats.losses import log_losses

__all__ = ["fit_temperature"]

LOG_RANGE = (-7.0, 7.0)  # temperatures from 0.001 to 1100


def fit_temperature(margins: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Temperature at which held-out margins have the smallest log loss.

    Parameters
    ----------
    margins : ndarray of shape (n, n_classes)
        Margins of images that the classifier was not fitted on; ``-inf`` marks a class it did
        not know. Images of such a class say nothing about the temperature and are left out.
    y : ndarray of shape (n,), int64

    Returns
    -------
    float
        In [0.001, 1097]; 1 when no image is left.
    """
    from scipy.optimize import minimize_scalar

    known = np.isfinite(margins[np.arange(len(y)), y])
    if not known.any():
        return 1.0
    margins, y = margins[known], y[known]
    found = minimize_scalar(
        lambda log_t: log_losses(y, margin_probabilities(margins, np.exp(log_t))).mean(),
        bounds=LOG_RANGE,
        method="bounded",
    )
    return float(np.exp(found.x))
