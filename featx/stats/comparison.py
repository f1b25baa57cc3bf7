"""Did one way beat another on the same folds?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["PairedTest", "corrected_paired_test"]


@dataclass(frozen=True)
class PairedTest:
    """Mean difference over folds with its 95 % interval and two-sided p-value.

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
