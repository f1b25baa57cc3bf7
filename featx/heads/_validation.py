"""Training rows set aside to say when an iterative head has learned enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.heads._head import Scored, Training, Units
from featx.types import AnyArray, Float32Array


def set_aside(
    X: AnyArray,
    y: NDArray[np.intp],
    share: float,
    generator: np.random.Generator,
    mixture: Any = None,
    units: Units | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to train on and rows to validate on, of which neither is made of the other.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Equal rows, as random over-sampling makes, stay together.
    y : ndarray of shape (n,), int
        Class indices.
    share : float
        Of each class's images or groups, rounded down: a class of few keeps them all.
    generator : numpy.random.Generator
    mixture : scipy.sparse matrix of shape (n, m), optional
        Which rows are mixtures of which, as SMOTE's are. Then rows that are none are validated on,
        and mixtures with any of them are not trained on.
    units : Units, optional
        Which rows are of one image or group; they stay together.

    Returns
    -------
    training, validation : ndarrays of int
        Sorted. The first holds every class, the second is empty where no class is large enough.
    """
    known: dict[bytes, int] = {}
    if units is not None:
        pairs = zip(units.rows, units.number.tolist(), strict=True)
        known = {row.tobytes(): -1 - number for row, number in pairs}
    unit = np.array([known.setdefault(row.tobytes(), len(known)) for row in X])
    pure = np.ones(len(y), bool) if mixture is None else np.diff(mixture.indptr) == 1
    held = pure & np.isin(unit, _choose(unit[pure], y[pure], share, generator))
    if mixture is None:
        return np.flatnonzero(~held), np.flatnonzero(held)
    origins = np.zeros(mixture.shape[1])
    origins[mixture[held].indices] = 1
    return np.flatnonzero(mixture @ origins == 0), np.flatnonzero(held)


def _choose(
    unit: AnyArray, y: NDArray[np.intp], share: float, generator: np.random.Generator
) -> AnyArray:
    """Units of which each class gives its share, and after which each has some left."""
    units, position = np.unique(unit, return_inverse=True)
    present = np.zeros((len(units), y.max() + 1), bool)
    present[position, y] = True
    left = present.sum(axis=0)
    quotas = (share * left).astype(int)
    chosen = np.zeros(len(units), bool)
    for c, quota in enumerate(quotas):
        wanted = quota - int(present[chosen, c].sum())  # a unit may hold several classes
        for i in generator.permutation(np.flatnonzero(present[:, c] & ~chosen)):
            if wanted <= 0:
                break
            if (left[present[i]] > 1).all():
                chosen[i], left, wanted = True, left - present[i], wanted - 1
    return units[chosen]


def score_grid(
    training: Training, classifiers: Sequence[Any], others: Sequence[Float32Array]
) -> Iterator[Scored]:
    """Every classifier fitted by itself, but told which rows belong together."""
    for classifier in classifiers:
        refit(training, classifier)
        yield Scored([classifier.predict_proba(X) for X in others], False)


def refit(training: Training, classifier: Any) -> Any:
    """``classifier.fit``, told which rows belong together."""
    return classifier.fit(training.X, training.y, mixture=training.mixture, units=training.units)
