"""Two classifiers on the same images: is one right more often?"""

from __future__ import annotations

import numpy as np

from featx.stats.comparison import PairedTest

Z = 1.959963984540054  # 97.5th percentile of the normal distribution
HALVINGS = 60  # of an interval of length 2: below 1e-17


def mcnemar(wins: int, losses: int) -> float:
    """Exact two-sided p-value of McNemar's test.

    Of the images on which just one of two classifiers is right, each would be as likely to be
    right if they were equally good: ``wins`` is binomial with probability 1/2.

    Parameters
    ----------
    wins, losses : int
        Images that only the one, and only the other, gets right.

    References
    ----------
    McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12, 1947; exact as in Dietterich, "Approximate statistical tests
    for comparing supervised classification learning algorithms", Neural Computation 10, 1998.
    """
    from scipy.stats import binom

    return min(1.0, 2 * float(binom.cdf(min(wins, losses), wins + losses, 0.5)))


def paired_accuracy(wins: int, losses: int, n: int) -> PairedTest:
    """Difference of two accuracies on ``n`` independent images.

    Parameters
    ----------
    wins, losses : int
        Images that only the one, and only the other, gets right.
    n : int
        All images.

    Returns
    -------
    PairedTest
        The p-value is exact McNemar; the interval is the score interval, which has a width even
        where the classifiers never differ.

    References
    ----------
    Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17, 1998.
    """
    difference = (wins - losses) / n
    return PairedTest(
        difference,
        _end(wins, losses, n, difference, -1.0),
        _end(wins, losses, n, difference, 1.0),
        mcnemar(wins, losses),
    )


def _end(wins: int, losses: int, n: int, inside: float, outside: float) -> float:
    """Where Tango's score reaches `Z` between the difference and one of -1 and 1."""
    if abs(_score(outside, wins, losses, n)) <= Z:
        return outside
    # The score falls as delta moves outwards, so halving finds the one crossing; Newton would
    # not be safe where the variance reaches 0.
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        if abs(_score(middle, wins, losses, n)) < Z:
            inside = middle
        else:
            outside = middle
    return (inside + outside) / 2


def _score(delta: float, wins: int, losses: int, n: int) -> float:
    """Tango's equation 6: distance of the observed difference from ``delta`` in its errors.

    The probability that only the other is right is at its largest likelihood given ``delta``
    (equations 3 to 5).
    """
    b = -wins - losses + (2 * n - wins + losses) * delta
    c = -losses * delta * (1 - delta)
    root = np.sqrt(max(b * b - 8 * n * c, 0.0))
    probability = max((root - b) / (4 * n), 0.0)
    variance = n * max(2 * probability + delta * (1 - delta), 0.0)
    gap = wins - losses - n * delta
    if gap == 0:
        return 0.0
    return float(gap / np.sqrt(variance)) if variance > 0 else float(np.sign(gap) * np.inf)
