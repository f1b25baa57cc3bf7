"""Training rows set aside to say when an iterative head has learned enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.heads._head import Scored, Training, Viewed

__all__ = ["refit", "score_grid", "set_aside"]


def set_aside(
    X: NDArray[Any],
    y: NDArray[np.intp],
    share: float,
    generator: np.random.Generator,
    mixture: Any = None,
    viewed: Viewed | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to train on and rows to validate on, of which neither is made of the other.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Equal rows, as random over-sampling makes, stay together.
    y : ndarray of shape (n,), int
        Class indices.
    share : float
        Of each class's different rows, rounded down: a class of few rows keeps them all.
    generator : numpy.random.Generator
    mixture : scipy.sparse matrix of shape (n, m), optional
        Which rows are mixtures of which, as SMOTE's are. Then rows that are none are validated on,
        and mixtures with any of them are not trained on.
    viewed : Viewed, optional
        Which rows are views of which image; they stay with it.

    Returns
    -------
    training, validation : ndarrays of int
        Sorted. The second is empty where no class is large enough.
    """
    known: dict[bytes, int] = {}
    if viewed is not None:
        pairs = zip(viewed.rows, viewed.images.tolist(), strict=True)
        known = {row.tobytes(): -1 - image for row, image in pairs}
    same = np.array([known.setdefault(row.tobytes(), len(known)) for row in X])
    pure = np.ones(len(y), bool) if mixture is None else np.diff(mixture.indptr) == 1
    held = np.zeros(len(y), bool)
    for c in np.unique(y):
        different = np.unique(same[pure & (y == c)])
        chosen = generator.permutation(different)[: int(share * len(different))]
        held |= pure & (y == c) & np.isin(same, chosen)
    if mixture is None:
        return np.flatnonzero(~held), np.flatnonzero(held)
    origins = np.zeros(mixture.shape[1])
    origins[mixture[held].indices] = 1
    return np.flatnonzero(mixture @ origins == 0), np.flatnonzero(held)


def score_grid(
    training: Training, classifiers: Sequence[Any], others: Sequence[NDArray[np.float32]]
) -> Iterator[Scored]:
    """Every classifier fitted by itself, but told which rows are made of which."""
    for classifier in classifiers:
        refit(training, classifier)
        yield Scored([classifier.predict_proba(X) for X in others], False)


def refit(training: Training, classifier: Any) -> Any:
    """``classifier.fit``, told which rows are mixtures or views of which."""
    return classifier.fit(training.X, training.y, mixture=training.mixture, viewed=training.viewed)
