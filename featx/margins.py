"""Margins of a classifier that has no probabilities of its own, turned into probabilities."""

from __future__ import annotations

from typing import Any

from featx.arrays import cast, namespace

LEAST = 1e-12  # a probability of 0 or 1 is taken for one so far from it


def margin_columns(decision: Any) -> Any:
    """One margin column per class.

    Parameters
    ----------
    decision : array-like or tensor of shape (n,) or (n, n_classes)
        What ``decision_function`` returned. One-dimensional means two classes and the margin
        ``d`` of the second; it becomes the columns ``[-d / 2, d / 2]``.

    Returns
    -------
    ndarray or tensor of shape (n, n_classes), float64
    """
    margins = cast(decision, "float64")
    if margins.ndim == 1:
        return namespace(margins).stack([-margins / 2, margins / 2], axis=1)
    return margins


def margin_probabilities(decision: Any, temperature: float) -> Any:
    """Softmax of margins divided by a temperature.

    Parameters
    ----------
    decision : array-like or tensor of shape (n,) or (n, n_classes)
        What ``decision_function`` returned; ``-inf`` marks a class that cannot be.
    temperature : float
        Above 0. Larger is less sure. Fitted by `featx.stats.calibration.fit_temperature`.

    Returns
    -------
    ndarray or tensor of shape (n, n_classes), float64
        Rows sum to 1; the largest probability is where the largest margin is.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    margins = margin_columns(decision)
    xp = namespace(margins)
    # the largest margin is taken off first, so that no exponential overflows
    weights = xp.exp((margins - xp.amax(margins, axis=1, keepdims=True)) / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


def log_odds(scores: Any, *, margins: bool) -> Any:
    """What a calibration of each class against the rest starts from.

    Parameters
    ----------
    scores : ndarray or tensor of shape (n, n_classes), float64
        Probabilities, or margins.
    margins : bool
        Which of the two. Margins are returned as they are.

    Returns
    -------
    ndarray or tensor of shape (n, n_classes), float64
        Logarithm of ``p / (1 - p)``, in [-28, 28].
    """
    if margins:
        return scores
    xp = namespace(scores)
    clipped = xp.clip(scores, LEAST, 1 - LEAST)
    return xp.log(clipped) - xp.log1p(-clipped)
