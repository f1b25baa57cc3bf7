"""Draws with replacement and the intervals that come from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from featx.types import FloatArray, IntArray

N_RESAMPLES = 2000
TAIL = 0.025  # of a 95 % interval, on either side
MIN_OUTSIDE = 5  # resamples beyond the end of an interval, for the end to be known by them
BLOCK_CELLS = 4_000_000  # resamples x units held at once: 32 MB


def draw_units(n_units: int, seed: int) -> Iterator[FloatArray]:
    """How often each resample draws each unit, in blocks of shape (some, n_units)."""
    rng = np.random.default_rng(seed)
    size = max(1, min(N_RESAMPLES, BLOCK_CELLS // n_units))
    for start in range(0, N_RESAMPLES, size):
        n = min(size, N_RESAMPLES - start)
        drawn = rng.integers(0, n_units, size=(n, n_units))
        # Each resample has numbers of its own, so one bincount counts them all.
        drawn += np.arange(n)[:, None] * n_units
        yield np.bincount(drawn.ravel(), minlength=n * n_units).reshape(n, n_units).astype(float)


def balanced_accuracies(
    y: IntArray, units: IntArray, n_classes: int, hits: Sequence[FloatArray], *, seed: int
) -> tuple[list[float], FloatArray]:
    """Balanced accuracy of several predictions of the same images, and of resamples of units.

    Parameters
    ----------
    y, units : ndarray of shape (n,), int64
        Classes, and what is drawn together, both from 0.
    n_classes : int
    hits : sequence of ndarray of shape (n,)
        Of each prediction: how often each image is right, in [0, 1].
    seed : int

    Returns
    -------
    list of float
        One for each prediction.
    ndarray of shape (len(hits), n_resamples)
        The same resamples for all.
    """
    true = np.zeros((int(units.max()) + 1, n_classes))
    np.add.at(true, (units, y), 1)
    right = [np.zeros_like(true) for _ in hits]
    for table, hit in zip(right, hits, strict=True):
        np.add.at(table, (units, y), hit)
    samples = []
    for draws in draw_units(len(true), seed):
        with np.errstate(invalid="ignore"):  # a resample may lack a class
            samples.append([np.nanmean((draws @ h) / (draws @ true), axis=1) for h in right])
    present = true.sum(axis=0) > 0
    recalls = [h.sum(axis=0)[present] / true.sum(axis=0)[present] for h in right]
    return [float(each.mean()) for each in recalls], np.concatenate(samples, axis=1)


def expanded_percentiles(n_units: int, tail: float = TAIL) -> tuple[float, float]:
    """Percentiles of a bootstrap over few units that leave ``tail`` on either side.

    Plain percentiles (2.5 and 97.5) are those of a normal distribution whose variance is too
    small by ``(n - 1) / n``, and are too close together for few units. These make up for both:
    for the mean of normal values the interval is Student's.

    References
    ----------
    Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69,
    2015, section 4.3 ("expanded percentile").
    """
    from scipy.stats import norm

    low = 100 * float(norm.cdf(_student_step(n_units, tail)))
    return low, 100 - low


def _student_step(n_units: int, tail: float) -> float:
    """The low end of Student's interval, in standard deviations of the resamples."""
    from scipy.stats import t as student

    return float(np.sqrt(n_units / (n_units - 1)) * student.ppf(tail, n_units - 1))


def training_stretch(n_folds: int | None) -> float:
    """How much wider an interval is for a cross-validated number; 1 for one classifier's.

    Resampling the evaluation images leaves out that other training images would have given other
    classifiers: those of the folds, and the one that is returned, whose luck cross-validation
    does not see (Bates, Hastie and Tibshirani, "Cross-validation: what does it estimate and how
    well does it do it?", JASA 2023). For each of the two the variance grows by tested over
    training images, ``1 / (n_folds - 1)``, as in the correction of Nadeau and Bengio (2003). That
    is a rule of thumb: no unbiased estimate exists (Bengio and Grandvalet, JMLR 5, 2004).
    ``benchmarks/coverage.py`` shows how well it does.
    """
    return 1.0 if n_folds is None else float(np.sqrt(1 + 2 / (n_folds - 1)))


def interval(
    value: Any,
    samples: FloatArray,
    n_units: int,
    *,
    proportion: bool = False,
    stretch: float = 1.0,
    limits: tuple[float, float] = (0.0, 1.0),
    tail: float = TAIL,
) -> dict[str, float | None]:
    """Value and interval, by default at 95 %, as JSON; None where undefined.

    Parameters
    ----------
    value : float
    samples : ndarray of shape (n_resamples,)
        The same of each resample; NaN where it is not defined.
    n_units : int
        Units that the value rests on.
    proportion : bool
        The value is a share of right images. Where it is 0 or 1 in every resample, the bootstrap
        knows nothing, and the end of the interval is the exact binomial one, as if each unit
        were one trial (Clopper and Pearson, "The use of confidence or fiducial limits",
        Biometrika 26, 1934). Other values without any spread have no interval.
    stretch : float, default 1
        The ends lie so many times further from the value.
    limits : (float, float), default (0, 1)
        What the value can be.
    tail : float, default 0.025
        Outside the interval on either side. Where too few resamples lie that far out, it is
        Student's, by the spread of all of them.
    """
    if np.isnan(value):
        return {"value": None, "low": None, "high": None}
    value = float(value)
    defined = samples[~np.isnan(samples)]
    if n_units >= 2 and len(defined) and np.ptp(defined) > 0:
        low, high = np.percentile(defined, expanded_percentiles(n_units, tail))
        if tail < TAIL and tail * len(defined) < MIN_OUTSIDE:
            half = _student_step(n_units, tail) * float(defined.std())
            low, high = value + half, value - half
        low = max(value + stretch * min(low - value, 0.0), limits[0])
        high = min(value + stretch * max(high - value, 0.0), limits[1])
        return {"value": value, "low": float(low), "high": float(high)}
    if proportion and n_units >= 1 and value in (0.0, 1.0):
        bound = tail ** (1 / n_units)
        low, high = (0.0, 1 - bound) if value == 0 else (bound, 1.0)
        return {"value": value, "low": low, "high": high}
    return {"value": value, "low": None, "high": None}
