"""What to expect of the next site, from the scores of sites that were each left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEVEL = 0.9
MIN_SITES = 3


def next_site(
    scores: Sequence[float | None], *, limits: tuple[float, float] = (0.0, 1.0)
) -> dict[str, float | int | None]:
    """Student's prediction interval for the score that one more site will show.

    Parameters
    ----------
    scores : sequence of float or None
        One a site, each from a model that was fitted on the other sites; None where undefined.
    limits : (float, float), default (0, 1)
        What a score can be.

    Returns
    -------
    dict
        JSON: ``n_sites`` with a score, their ``mean`` and ``sd``, and ``low`` and ``high``: the
        score of a further site of about as many images lies between them with 90 % probability,
        if sites are drawn alike. None from fewer than three sites.

    Notes
    -----
    ``mean +- t(0.95, k - 1) * sd * sqrt(1 + 1 / k)``: Hahn and Meeker, "Statistical Intervals",
    1991, section 4.8. The spread of measured scores holds the spread between sites as well as the
    sampling error of each. The interval of a random-effects meta-analysis (Higgins, Thompson and
    Spiegelhalter, "A re-evaluation of random-effects meta-analysis", JRSS A 172, 2009) separates
    the two, and is too narrow where sites differ little: ``benchmarks/sites.py`` has both.
    """
    from scipy.stats import t as student

    known = np.array([score for score in scores if score is not None], float)
    k = len(known)
    mean = float(known.mean()) if k else None
    if mean is None or k < MIN_SITES:
        return {"n_sites": k, "mean": mean, "sd": None, "low": None, "high": None}
    sd = float(known.std(ddof=1))
    half = float(student.ppf((1 + LEVEL) / 2, k - 1)) * sd * np.sqrt(1 + 1 / k)
    low, high = max(mean - half, limits[0]), min(mean + half, limits[1])
    return {"n_sites": k, "mean": mean, "sd": sd, "low": float(low), "high": float(high)}
