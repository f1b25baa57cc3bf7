"""Functions from a classifier's scores to probabilities, fitted on images it has not seen."""

from __future__ import annotations

import numpy as np

from featx.margins import margin_probabilities
from featx.stats.losses import log_losses
from featx.types import BoolArray, FloatArray, IntArray

LOG_RANGE = (-7.0, 7.0)  # temperatures from 0.001 to 1100


def fit_temperature(margins: FloatArray, y: IntArray) -> float:
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


def fit_sigmoids(odds: FloatArray, y: IntArray) -> tuple[FloatArray, FloatArray]:
    """Slope and offset of a logistic function for each class against the rest.

    Parameters
    ----------
    odds : ndarray of shape (n, n_classes)
        What `featx.margins.log_odds` makes of held-out scores. Where a class is ``-inf`` the image
        says nothing about it.
    y : ndarray of shape (n,), int64

    Returns
    -------
    slopes, offsets : ndarrays of shape (n_classes,)
        Of ``1 / (1 + exp(-(slope * odds + offset)))``; slopes are never below 0.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", Advances in Large Margin
    Classifiers, 1999: right is taken for ``(n_right + 1) / (n_right + 2)`` and wrong for
    ``1 / (n_wrong + 2)``, so that a function exists where the two do not overlap.
    """
    found = [_fit_sigmoid(*_known(odds[:, c], y == c)) for c in range(odds.shape[1])]
    slopes, offsets = np.array(found).T
    return slopes, offsets


def _fit_sigmoid(odds: FloatArray, own: BoolArray) -> tuple[float, float]:
    from scipy.optimize import minimize

    n_right, n_wrong = int(own.sum()), int((~own).sum())
    target = np.where(own, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))
    scale = max(float(np.abs(odds).max(initial=0.0)), 1e-12)
    x = odds / scale

    def loss(w: FloatArray) -> tuple[float, FloatArray]:
        z = w[0] * x + w[1]
        error = 1 / (1 + np.exp(-np.clip(z, -700, 700))) - target
        value = float((np.logaddexp(0, z) - target * z).sum())
        return value, np.array([error @ x, error.sum()])

    start = np.array([1.0, np.log((n_right + 1) / (n_wrong + 1))])
    w = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]).x
    return float(w[0] / scale), float(w[1])


def fit_isotonic(odds: FloatArray, y: IntArray) -> list[tuple[FloatArray, FloatArray]]:
    """Ends of the pieces of a rising function for each class against the rest.

    Parameters
    ----------
    odds, y
        As `fit_sigmoids` takes them.

    Returns
    -------
    list of (odds, probabilities)
        Two arrays for each class, both rising. Probabilities keep ``1 / (n + 2)`` from 0 and 1:
        that none of ``n`` images was of a class does not make it impossible.

    References
    ----------
    Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
    estimates", KDD 2002.
    """
    from sklearn.isotonic import IsotonicRegression

    functions = []
    for c in range(odds.shape[1]):
        x, own = _known(odds[:, c], y == c)
        if not len(x):
            functions.append((np.zeros(1), np.full(1, 0.5)))
            continue
        least = 1 / (len(x) + 2)
        fitted = IsotonicRegression(y_min=least, y_max=1 - least).fit(x, own)
        functions.append((fitted.X_thresholds_, fitted.y_thresholds_))
    return functions


def _known(odds: FloatArray, own: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Images that say something about a class."""
    known = np.isfinite(odds)
    return odds[known], own[known]
