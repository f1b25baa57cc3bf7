"""How well each class goes with an image's probabilities: what prediction sets are cut by.

- ``lac``: the probability itself. Of all sets of one coverage these are the smallest on average
  (Sadinle, Lei and Wasserman, JASA 114, 2019), with few classes where the classifier is sure and
  wrong, too.
- ``aps``: one less the probability of all likelier classes. Sets grow where the classifier is
  unsure, so that easy and hard images are covered more alike (Romano, Sesia and Candès,
  "Classification with valid and adaptive coverage", NeurIPS 2020).
- ``raps``: the same less a penalty for classes far down the list, which keeps long tails of
  unlikely classes out (Angelopoulos, Bates, Malik and Jordan, "Uncertainty sets for image
  classifiers using conformal prediction", ICLR 2021).

The two are used without their random tie-breaking, so that an image has one set: the likeliest
class is always in it, and coverage is at least, not exactly, the stated one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from featx.types import FloatArray

SetMethod = Literal["lac", "aps", "raps"]

PENALTY = 0.01  # of raps, for each place below
FREE_PLACES = 5  # this one; both as in the paper's experiments


def conformities(method: SetMethod, probabilities: FloatArray) -> FloatArray:
    """Conformity of each class, in [0, 1]; the larger the better it goes with the image.

    Parameters
    ----------
    method : {"lac", "aps", "raps"}
    probabilities : ndarray of shape (n, n_classes), float64

    Returns
    -------
    ndarray of shape (n, n_classes), float64
        Of equally likely classes the first counts as likelier.
    """
    if method == "lac":
        return probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ordered = np.take_along_axis(probabilities, order, axis=1)
    likelier = np.zeros_like(ordered)
    np.cumsum(ordered[:, :-1], axis=1, out=likelier[:, 1:])
    if method == "raps":
        places = np.arange(1, probabilities.shape[1] + 1)
        likelier += PENALTY * np.maximum(places - FREE_PLACES, 0)
    found = np.empty_like(likelier)
    np.put_along_axis(found, order, np.clip(1 - likelier, 0.0, 1.0), axis=1)
    return found
