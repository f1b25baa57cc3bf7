"""How good probabilities are: log loss, Brier score and expected calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.console import counted
from featx.types import AnyArray, FloatArray, IntArray

ECE_BINS = 15
N_SIMULATIONS = 1000


def log_losses(y: IntArray, proba: FloatArray) -> FloatArray:
    """Minus the natural logarithm of each true class's probability, shape (n,).

    Probabilities are clipped to the smallest float64 step, as scikit-learn does.
    """
    own = proba[np.arange(len(y)), y]
    return -np.log(np.clip(own, np.finfo(np.float64).eps, 1.0))


def brier_scores(y: IntArray, proba: FloatArray) -> FloatArray:
    """Squared error of each image's probabilities, summed over classes: 0 to 2, shape (n,).

    With two classes this is twice the binary Brier score.

    References
    ----------
    Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review
    78, 1950.
    """
    # The sum over classes of (p - 1 if true)², without the one-hot matrix.
    own = proba[np.arange(len(y)), y]
    return np.asarray((proba**2).sum(axis=1) - 2 * own + 1)


def describe_calibration(y: IntArray, proba: FloatArray, *, seed: int) -> dict[str, Any]:
    """Expected calibration error, beside what right probabilities would give by chance.

    The error is the mean, over images, of the difference between the probability of the
    predicted class and how often it was right, in 15 bins of equally many images (images of equal
    probability share a bin). It is above 0 even for right probabilities, the more so the fewer
    the images; so no interval is drawn around it, but labels are drawn from the probabilities
    1,000 times, and the mean and the 95th percentile of their errors are given.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    proba : ndarray of shape (n, n_classes)
    seed : int

    Returns
    -------
    dict
        ``ece`` (0 to 1), ``bins``, ``if_right_mean``, ``if_right_high``.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017 (the error); Broecker and
    Smith, "Increasing the reliability of reliability diagrams", Weather and Forecasting 22, 2007
    (the simulation).
    """
    confidence = np.clip(proba.max(axis=1), 0.0, 1.0)
    right = (proba.argmax(axis=1) == y).astype(float)
    bins = _equal_mass_bins(confidence)
    rng = np.random.default_rng(seed)
    chance = [
        _calibration_error(confidence, rng.random(len(y)) < confidence, bins)
        for _ in range(N_SIMULATIONS)
    ]
    return {
        "ece": _calibration_error(confidence, right, bins),
        "bins": counted(len(np.unique(bins)), "equal-count bin"),
        "if_right_mean": float(np.mean(chance)),
        "if_right_high": float(np.percentile(chance, 95)),
    }


def _equal_mass_bins(confidence: FloatArray) -> IntArray:
    """Bin of each image; equal confidences share one, so the order of images does not matter."""
    ranked = np.sort(confidence)
    n = len(ranked)
    starts = ranked[[n * i // ECE_BINS for i in range(1, ECE_BINS)]]
    return np.searchsorted(np.unique(starts), confidence, side="right")


def _calibration_error(confidence: FloatArray, right: AnyArray, bins: IntArray) -> float:
    gaps = np.bincount(bins, weights=confidence - right)
    return float(np.abs(gaps).sum() / len(bins))
