"""What keeping groups together does to the score, by one cheap classifier on the embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from featx.auditing.data import AuditData
from featx.data.splits import link_components, make_folds
from featx.errors import FitError
from featx.stats.bootstrap import balanced_accuracies, interval
from featx.types import BoolArray, FloatArray, IntArray

N_FOLDS = 5
REPEATS = 2  # of the folds, by other seeds


def with_and_without(
    data: AuditData, copies: IntArray, codes: IntArray, seed: int
) -> dict[str, Any] | None:
    """Balanced accuracy in folds that keep groups together, and in folds that do not.

    Parameters
    ----------
    data : AuditData
    copies, codes : ndarrays of shape (n,), int64
        What both keep together, and the groups.
    seed : int

    Returns
    -------
    dict or None
        ``without``, ``with`` and ``difference`` (an interval by a bootstrap of groups: the folds
        and the classifier are those that were drawn), and a ``sentence``; None where no folds can
        be made.

    Notes
    -----
    Ridge regression on ±1 with standardised columns, balanced classes and a penalty of one for
    each column, the same for both: the difference counts, not the level.
    """
    rows, y = data.labelled, data.y
    if len(data.classes) < 2:
        return None
    X = StandardScaler().fit_transform(data.X[rows])
    alone, together = copies[rows], link_components(copies, codes)[rows]
    try:
        right = [_right(X, y, units, data.classes, seed) for units in (alone, together)]
    except FitError:
        return None
    return _described(
        y, right, np.unique(together, return_inverse=True)[1], len(data.classes), seed
    )


def _right(
    X: FloatArray, y: IntArray, units: IntArray, classes: list[str], seed: int
) -> FloatArray:
    """How often each image is predicted right, over repeats of the folds."""
    right = np.zeros(len(y))
    units = np.unique(units, return_inverse=True)[1].astype(np.int64)
    for repeat in range(REPEATS):
        folds = make_folds(y, units, classes, n_folds=N_FOLDS, seed=seed + repeat)
        for fold in range(folds.n_folds):
            tested: BoolArray = folds.fold == fold
            head = RidgeClassifier(alpha=float(X.shape[1]), class_weight="balanced")
            head.fit(X[~tested], y[~tested])
            right[tested] += head.predict(X[tested]) == y[tested]
    return right / REPEATS


def _described(
    y: IntArray, right: list[FloatArray], units: IntArray, n_classes: int, seed: int
) -> dict[str, Any]:
    n_units = int(units.max()) + 1
    values, drawn = balanced_accuracies(y, units, n_classes, right, seed=seed)
    difference = interval(values[1] - values[0], drawn[1] - drawn[0], n_units, limits=(-1.0, 1.0))
    low, high = difference["low"], difference["high"]
    between = "" if low is None or high is None else f" [{_points(low)}, {_points(high)}]"
    return {
        "without": values[0],
        "with": values[1],
        "difference": difference,
        "sentence": (
            f"A ridge classifier on the embeddings has a balanced accuracy of "
            f"{100 * values[0]:.1f} % with these groups spread over the folds and of "
            f"{100 * values[1]:.1f} % with each kept together: "
            f"{_points(values[1] - values[0])} points{between}."
        ),
    }


def _points(difference: float) -> str:
    """In percentage points, signed; 0 has the sign of none."""
    points = round(100 * difference, 1)
    return f"{points:+.1f}" if points else "0.0"
