"""Margins of a classifier that has no probabilities of its own, turned into probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["log_odds", "margin_columns", "margin_probabilities"]

LEAST = 1e-12  # a probability of 0 or 1 is taken for one so far from it


def margin_columns(decision: ArrayLike) -> NDArray[np.float64]:
    """One margin column per class.

    Parameters
    ----------
    decision : array-like of shape (n,) or (n, n_classes)
        What ``decision_function`` returned. One-dimensional means two classes and the margin
        ``d`` of the second; it becomes the columns ``[-d / 2, d / 2]``.

    Returns
    -------
    ndarray of shape (n, n_classes), float64
    """
    margins = np.asarray(decision, dtype=np.float64)
    if margins.ndim == 1:
        return np.column_stack([-margins / 2, margins / 2])
    return margins


def margin_probabilities(decision: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Softmax of margins divided by a temperature.

    Parameters
    ----------
    decision : array-like of shape (n,) or (n, n_classes)
        What ``decision_function`` returned; ``-inf`` marks a class that cannot be.
    temperature : float
        Above 0. Larger is less sure. Fitted by `featx.stats.calibration.fit_temperature`.

    Returns
    -------
    ndarray of shape (n, n_classes), float64
        Rows sum to 1; the largest probability is where the largest margin is.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    margins = margin_columns(decision)
    scaled = (margins - margins.max(axis=1, keepdims=True)) / temperature
    weights = np.exp(scaled)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def log_odds(scores: NDArray[np.float64], *, margins: bool) -> NDArray[np.float64]:
    """What a calibration of each class against the rest starts from.

    Parameters
    ----------
    scores : ndarray of shape (n, n_classes), float64
        Probabilities, or margins.
    margins : bool
        Which of the two. Margins are returned as they are.

    Returns
    -------
    ndarray of shape (n, n_classes), float64
        Logarithm of ``p / (1 - p)``, in [-28, 28].
    """
    if margins:
        return scores
    clipped = np.clip(scores, LEAST, 1 - LEAST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
