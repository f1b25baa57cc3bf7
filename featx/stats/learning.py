"""Learning curves: how a score grows with the number of images, and what more would add.

The error of a classifier falls with the number of training images about as ``a + b * n**-c``, an
inverse power law (Cortes, Jackel, Solla, Vapnik and Denker, "Learning curves: asymptotic values
and rate of convergence", NIPS 6, 1993; Figueroa, Zeng-Treitler, Kandula and Ngo, "Predicting
sample size required for classification performance", BMC Medical Informatics and Decision Making
12:8, 2012; Viering and Loog, "The shape of learning curves: a review", IEEE TPAMI 45, 2023). It is
fitted by weighted least squares, and again to every bootstrap resample of the curve, which gives
the intervals of its forecasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.console import counted
from featx.stats.bootstrap import interval
from featx.types import FloatArray

SLOWEST, FASTEST = 0.05, 2.0  # of the exponent c; measured curves lie between (Viering and Loog)
FEWEST_SIZES = 4  # one more than the law has parameters
SPAN = 2.8  # the largest size over the smallest: one and a half doublings
FACTORS = (2, 4)  # times as many images
FLAT = 0.01  # a doubling that surely adds less than one point
VISIBLE = 0.001  # the smallest difference that is printed


@dataclass(frozen=True)
class PowerLaw:
    """``error(n) = a + b * n**-c`` of several curves, each array of shape (n_curves,)."""

    a: FloatArray
    b: FloatArray
    c: FloatArray

    def error(self, n: float) -> FloatArray:
        """Error expected of ``n`` training images, shape (n_curves,)."""
        return np.asarray(self.a + self.b * n**-self.c)


def fit_power_law(sizes: FloatArray, errors: FloatArray) -> PowerLaw:
    """Fit ``a + b * n**-c`` with ``a >= 0``, ``b >= 0`` and ``c`` in [0.05, 2].

    Squares are weighted by ``n`` (Figueroa et al.): the law is one of many images, and classifiers
    of few often do not follow it.
    For one ``c`` the law is linear in the other two, so only ``c`` is searched, on a grid that is
    refined around the best (variable projection: Golub and Pereyra, SIAM Journal on Numerical
    Analysis 10, 1973).

    Parameters
    ----------
    sizes : ndarray of shape (n_sizes,)
    errors : ndarray of shape (n_curves, n_sizes)
    """
    # Scaled: powers of thousands of images would leave the weighted sums to rounding.
    x = sizes / sizes.max()
    weights = x / x.sum()
    grid = np.geomspace(SLOWEST, FASTEST, 49)
    exponents, step = grid[None, :], grid[1] / grid[0]
    rows = np.arange(len(errors))
    # Each pass keeps the best exponent and its neighbours, and divides them more finely.
    for _ in range(4):
        a, b, loss = _linear_part(x, errors, weights, exponents)
        best = loss.argmin(axis=1)
        c = np.broadcast_to(exponents, loss.shape)[rows, best]
        near = np.geomspace(1 / step, step, 9)
        exponents = np.clip(c[:, None] * near, SLOWEST, FASTEST)
        step = near[1] / near[0]
    a, b = a[rows, best], b[rows, best]
    return PowerLaw(a, b * sizes.max() ** c, c)


def _linear_part(
    x: FloatArray, errors: FloatArray, weights: FloatArray, exponents: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Best ``a`` and ``b`` for each curve and exponent, and the loss left, (n_curves, n_c)."""
    u = x ** -exponents[:, :, None]
    e = errors[:, None, :]
    mean_u, mean_e = u @ weights, e @ weights
    spread = (u**2 @ weights) - mean_u**2
    # Weighted regression of e on u. Where its asymptote is negative, the best law with a = 0
    # is taken, not the clipped one: clipping alone would leave b too small.
    b = np.maximum(((u * e) @ weights - mean_u * mean_e) / spread, 0.0)
    a = mean_e - b * mean_u
    through_zero = np.maximum(((u * e) @ weights) / (u**2 @ weights), 0.0)
    b = np.where(a < 0, through_zero, b)
    a = np.maximum(a, 0.0)
    loss = (e - a[:, :, None] - b[:, :, None] * u) ** 2 @ weights
    return a, b, loss


def draw_noise(
    scores: FloatArray, weights: FloatArray, n_resamples: int, *, seed: int
) -> FloatArray:
    """What drawing other training subsets would have changed, shape (n_resamples, m).

    In each fold draws are drawn with replacement; the spread is corrected for their number.

    Parameters
    ----------
    scores : ndarray of shape (n_draws, n_folds, m)
        Of each draw in each fold; a fold's are NaN where it has no score. The same seed takes
        the same draws, so that differences between sizes of nested subsets stay paired.
    weights : ndarray of shape (n_folds, m)
        Of the folds in the mean; each column sums to 1.
    """
    n_draws, n_folds, m = scores.shape
    if n_draws < 2:
        return np.zeros((n_resamples, m))
    # Bessel's correction: deviations from the mean of few draws are too small.
    parts = np.nan_to_num(scores - scores.mean(axis=0)) * np.sqrt(n_draws / (n_draws - 1))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, n_draws, size=(n_resamples, n_folds, n_draws))
    # A resample is a product with how often each draw occurs in it: no loop over resamples.
    times = (drawn[..., None] == np.arange(n_draws)).mean(axis=2)  # of each fold's draws
    by_fold = (parts * weights).transpose(1, 0, 2).reshape(n_folds * n_draws, m)
    return np.asarray(times.reshape(n_resamples, -1) @ by_fold)


@dataclass(frozen=True)
class Curve:
    """A score at several numbers of training images.

    Parameters
    ----------
    sizes : ndarray of shape (n_sizes,)
        Training images, ascending.
    values : ndarray of shape (n_sizes,)
        Scores, greater is better; NaN where one is not defined.
    samples : ndarray of shape (n_resamples, n_sizes)
        The same of bootstrap resamples that are common to all sizes.
    best : float
        The score of a perfect classifier.
    n_units : int
        Units that the resamples drew.
    stretch : float
        See `featx.stats.bootstrap.training_stretch`.
    """

    sizes: FloatArray
    values: FloatArray
    samples: FloatArray
    best: float
    n_units: int
    stretch: float

    def interval(
        self, value: Any, samples: FloatArray, limits: tuple[float, float]
    ) -> dict[str, Any]:
        """Value with its 95 % interval, as JSON."""
        return interval(value, samples, self.n_units, stretch=self.stretch, limits=limits)

    def rise(self, start: int) -> dict[str, Any]:
        """From the size with index ``start`` to the largest one, paired, as JSON."""
        value = self.values[-1] - self.values[start]
        samples = self.samples[:, -1] - self.samples[:, start]
        return {
            "from_images": round(float(self.sizes[start])),
            "to_images": round(float(self.sizes[-1])),
            **self.interval(value, samples, (-np.inf, np.inf)),
        }


def describe_growth(curve: Curve, *, n_now: int, seed: int) -> dict[str, Any]:
    """What more images would add, or why that cannot be told.

    Parameters
    ----------
    curve : Curve
    n_now : int
        Labelled images there are; the curve is forecast for so many, and for 2 and 4 times as
        many.
    seed : int

    Returns
    -------
    dict
        JSON: ``verdict`` (``rising``, ``flat`` or ``unknown``), ``reason`` (why nothing is
        forecast; None where something is), ``rise`` and ``last_doubling`` as measured, ``law``
        (``a``, ``b``, ``c`` and ``largest_residual``) and ``ahead``: for each number of images
        ``factor``, ``n_images``, ``score`` and ``gain`` over what is expected now.
    """
    half = int(np.argmin(np.abs(np.log2(curve.sizes / curve.sizes[-1]) + 1)))
    measured = len(curve.sizes) > 1 and not np.isnan(curve.values).any()
    found: dict[str, Any] = {
        "verdict": "unknown",
        "reason": None,
        "rise": curve.rise(0) if measured else None,
        "last_doubling": curve.rise(half) if measured and half < len(curve.sizes) - 1 else None,
        "law": None,
        "ahead": [],
    }
    found["reason"] = _refusal(curve, found["rise"])
    if found["reason"] is None:
        found["law"], found["ahead"] = _forecast(curve, n_now, seed)
        gain = found["ahead"][1]["gain"]
    else:
        gain = found["last_doubling"]
    found["verdict"] = _verdict(gain, told=found["reason"] is None)
    return found


def _refusal(curve: Curve, rise: dict[str, Any] | None) -> str | None:
    """Why nothing can be forecast from this curve; None where it can."""
    n_sizes = len(np.unique(curve.sizes))
    if rise is None or n_sizes < FEWEST_SIZES:
        return f"the curve is defined at {counted(n_sizes, 'size')}, and {FEWEST_SIZES} are needed"
    if curve.sizes[-1] < SPAN * curve.sizes[0]:
        return (
            f"{rise['from_images']:,} to {rise['to_images']:,} images trained on are too narrow "
            "a range"
        )
    if rise["low"] is None or rise["low"] <= 0:
        return (
            f"from {rise['from_images']:,} to {rise['to_images']:,} images trained on it does not "
            "rise clearly"
        )
    return None


def _forecast(curve: Curve, n_now: int, seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The law, and scores and gains that it and its refits expect of more images.

    Resamples are drawn around the law and get its residuals with random signs (wild bootstrap:
    Wu, Annals of Statistics 14, 1986), so that a curve of another shape has wide intervals.
    """
    errors = curve.best - curve.values
    law = fit_power_law(curve.sizes, errors[None])
    fitted = np.array([law.error(n)[0] for n in curve.sizes])
    residuals = errors - fitted
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=curve.samples.shape)
    drawn = fitted + (curve.values - curve.samples) + signs * residuals
    refits = fit_power_law(curve.sizes, drawn)
    limits = (curve.best - 1.0 if curve.best else -np.inf, curve.best)
    ahead = []
    for factor in (1, *FACTORS):
        n = n_now * factor
        score, scores = (curve.best - each.error(n) for each in (law, refits))
        gain, gains = (each.error(n_now) - each.error(n) for each in (law, refits))
        ahead.append(
            {
                "factor": factor,
                "n_images": n,
                "score": curve.interval(score[0], scores, limits),
                "gain": curve.interval(gain[0], gains, (0.0, np.inf)) if factor > 1 else None,
            }
        )
    numbers = {name: float(getattr(law, name)[0]) for name in "abc"}
    return {**numbers, "largest_residual": float(np.abs(residuals).max())}, ahead


def _verdict(gain: dict[str, Any] | None, *, told: bool) -> str:
    """Whether a doubling surely adds something, surely adds next to nothing, or neither."""
    if gain is None or gain["value"] is None:
        return "unknown"
    if gain["high"] is None:  # nothing changes in any resample
        return "flat" if gain["value"] == 0 else "unknown"
    if gain["high"] < FLAT:
        return "flat"
    return "rising" if told and gain["low"] > VISIBLE else "unknown"
