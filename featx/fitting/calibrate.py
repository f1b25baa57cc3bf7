"""Calibration of a classifier from its outputs for images that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx.artifact.calibration import Calibration, Isotonic, Sigmoid, Temperature
from featx.fitting.training import Outputs
from featx.margins import log_odds, margin_columns
from featx.stats.calibration import fit_isotonic, fit_sigmoids, fit_temperature
from featx.stats.losses import log_losses
from featx.types import FloatArray, IntArray

METHODS = ("none", "temperature", "sigmoid", "isotonic")  # of equally good ones the first


def fit_calibration(
    method: str, outputs: Sequence[Outputs], y: Sequence[IntArray]
) -> Calibration | None:
    """Fit one calibration to several folds' outputs.

    Parameters
    ----------
    method : {"none", "temperature", "sigmoid", "isotonic", "auto"}
        ``auto`` takes the one with the smallest log loss when each fold is evaluated by the
        calibration that the others give. Margins are no probabilities, so for them ``none`` is
        ``temperature``.
    outputs : sequence of Outputs
        Of each fold.
    y : sequence of ndarray of int64
        True classes of each fold.

    Returns
    -------
    Calibration or None
    """
    if method == "auto":
        method = _least_loss(outputs, y)
    margins = outputs[0].margins
    scores, labels = np.concatenate([o.scores for o in outputs]), np.concatenate(y)
    if method == "temperature" or (method == "none" and margins):
        return Temperature(temperature=_temperature(scores, labels, margins=margins))
    if method == "none":
        return None
    odds = log_odds(scores, margins=margins)
    if method == "sigmoid":
        slopes, offsets = fit_sigmoids(odds, labels)
        return Sigmoid(slopes=slopes.tolist(), offsets=offsets.tolist())
    functions = fit_isotonic(odds, labels)
    return Isotonic(
        scores=[x.tolist() for x, _ in functions],
        probabilities=[p.tolist() for _, p in functions],
    )


def _temperature(scores: FloatArray, y: IntArray, *, margins: bool) -> float:
    if not margins:
        with np.errstate(divide="ignore"):  # a class that was not trained on becomes -inf
            scores = np.log(scores)
    return fit_temperature(margin_columns(scores), y)


def _least_loss(outputs: Sequence[Outputs], y: Sequence[IntArray]) -> str:
    """The method whose calibration from all other folds has the smallest log loss on a fold."""
    if len(outputs) < 2:
        return "none"
    losses = {}
    for method in METHODS:
        each = []
        for i, fold in enumerate(outputs):
            # no fold takes part in the calibration that it is evaluated by
            others = [j for j in range(len(outputs)) if j != i]
            calibration = fit_calibration(
                method, [outputs[j] for j in others], [y[j] for j in others]
            )
            each.append(log_losses(y[i], fold.probabilities(calibration)))
        losses[method] = float(np.concatenate(each).mean())
    return min(METHODS, key=losses.__getitem__)
