"""Did one way beat another on the same folds, or on the same images?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from featx.stats.bootstrap import expanded_percentiles
from featx.types import FloatArray


@dataclass(frozen=True)
class PairedTest:
    """A mean difference with its 95 % interval and two-sided p-value.

    ``p`` is 1 and the interval has no width where all differences are 0.
    """

    mean: float
    low: float
    high: float
    p: float


def corrected_paired_test(differences: ArrayLike, *, test_ratio: float) -> PairedTest:
    """Corrected resampled t-test of paired fold differences.

    Folds share most of their training images, so the plain t-test is far too sure. The
    correction adds ``test_ratio`` to ``1 / n_folds`` in the variance of the mean.

    Parameters
    ----------
    differences : array-like of shape (n_folds,)
    test_ratio : float
        Tested images over training images in one fold; ``1 / (n_folds - 1)`` for k folds.

    References
    ----------
    Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
    """
    from scipy.stats import t as student

    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    mean = float(values.mean())
    error = float(np.sqrt((1 / n + test_ratio) * values.var(ddof=1)))
    if error == 0:
        return PairedTest(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    half = float(student.ppf(0.975, n - 1)) * error
    p = 2 * float(student.sf(abs(mean) / error, n - 1))
    return PairedTest(mean, mean - half, mean + half, p)


def paired_bootstrap(
    value: float, samples: FloatArray, n_units: int, *, stretch: float = 1.0
) -> PairedTest:
    """Test of a difference between two classifiers on the same images.

    Parameters
    ----------
    value : float
        The difference.
    samples : ndarray of shape (n_resamples,)
        The same on resamples that are common to both; NaN where it is not defined.
    n_units : int
        Units drawn, at least 2.
    stretch : float, default 1
        The ends lie so many times further from the value; see
        `featx.stats.bootstrap.training_stretch`.

    Returns
    -------
    PairedTest
        The interval has expanded percentiles (see `featx.stats.bootstrap`), and ``p`` is below
        0.05 where it leaves out 0: the smallest level whose interval does.
    """
    from scipy.stats import norm
    from scipy.stats import t as student

    samples = samples[~np.isnan(samples)]
    if len(samples) == 0 or np.ptp(samples) == 0:
        p = 1.0 if value == 0 else 2.0 ** (1 - n_units)  # the sign test, where all units agree
        return PairedTest(value, value, value, p)
    low, high = value + stretch * (np.percentile(samples, expanded_percentiles(n_units)) - value)
    # p is read off the same expanded percentiles as the interval, so that both agree about 0.
    beyond = min((samples <= 0).sum(), (samples >= 0).sum()) + 1
    steps = norm.isf(min(beyond / (len(samples) + 1), 0.5))
    steps /= stretch * np.sqrt(n_units / (n_units - 1))
    p = 2 * float(student.sf(steps, n_units - 1))
    return PairedTest(value, float(low), float(high), p)


def holm(p: ArrayLike) -> FloatArray:
    """p-values adjusted for their number, so that any false one at 0.05 has chance 0.05 at most.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
