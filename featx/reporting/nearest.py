"""The training images nearest to an image, by the angle between standardised embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featx.reporting.contents import Embedded, Subject, standardised

N_NEAREST = 3


class Nearest:
    """Neighbours among the images that trained a run.

    Parameters
    ----------
    subject : Subject
        With its embedded images.
    embedded : Embedded
        Those.
    """

    def __init__(self, subject: Subject, embedded: Embedded) -> None:
        self._subject, self._trained = subject, ~embedded.tested
        self._place = {name: i for i, name in enumerate(embedded.ids)}
        self._fold = np.full(len(embedded.ids), -1)
        for name, f, repeat in zip(subject.ids, subject.fold, subject.repeat, strict=True):
            if repeat == 0 and name in self._place:
                self._fold[self._place[name]] = f
        self._by = embedded.X[self._trained]
        self._unit = np.empty((0, embedded.X.shape[1]))
        if self._trained.any():  # an evaluation has the images that it evaluates on, and no others
            self._unit = _unit(embedded.X, self._by)

    def image(self, row: int) -> int | None:
        """The embedded image of a prediction; None where it is not there."""
        return self._place.get(self._subject.ids[row])

    def of_row(self, row: int) -> list[tuple[int, float]]:
        """Images that trained the model that judged a row, the nearest first, and the cosines."""
        i = self.image(row)
        if i is None or not len(self._unit):
            return []
        # Of cross-validation only the other folds trained the model that judged this image.
        fold = self._subject.fold[row]
        allowed = self._trained & (self._fold != fold if fold >= 0 else True)
        allowed[i] = False
        return self._best(self._unit[i], allowed)

    def of_embedding(self, x: NDArray[np.float32]) -> list[tuple[int, float]]:
        """The same for an image that is none of the run's, of shape (n_features,)."""
        if not len(self._unit):
            return []
        return self._best(_unit(x[None], self._by)[0], self._trained)

    def _best(
        self, unit: NDArray[np.float64], allowed: NDArray[np.bool_]
    ) -> list[tuple[int, float]]:
        cosine = np.where(allowed, self._unit @ unit, -2.0)
        best = np.argsort(-cosine, kind="stable")[:N_NEAREST]
        return [(int(k), float(cosine[k])) for k in best if allowed[k]]


def _unit(X: NDArray[np.float32], by: NDArray[np.float32]) -> NDArray[np.float64]:
    """Standardised embeddings of length 1."""
    unit = standardised(X, by)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    return unit
