"""What a model keeps of predictions for images that it was not fitted on, to choose cutoffs by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from featx.artifact.arrays import ModelArrays
from featx.heads import doubles, integers
from featx.stats.thresholds import Levels
from featx.types import FloatArray, IntArray

MOST_LEVELS = 2000  # of a class: a recall then is exact to half a thousandth


@dataclass(frozen=True, eq=False)
class OperatingCurves(ModelArrays):
    """Each class against the rest: what cutoffs decide, on predictions of unseen images.

    Parameters
    ----------
    column : ndarray of shape (n,), int64
        Rows of one class after the other.
    cutoff, hits, alarms : ndarray of shape (n,), float64 and int64
        See `featx.stats.thresholds.Levels`.
    support : ndarray of shape (n_classes,), int64
        Images of each class.
    """

    WORDS = "the sample that cutoffs are chosen on"
    FIELDS: ClassVar = {
        "column": integers("n"),
        "cutoff": doubles("n"),
        "hits": integers("n"),
        "alarms": integers("n"),
        "support": integers("n_classes"),
    }

    column: IntArray
    cutoff: FloatArray
    hits: IntArray
    alarms: IntArray
    support: IntArray

    @classmethod
    def of(cls, y: IntArray, proba: FloatArray) -> OperatingCurves:
        """From true classes, shape (n,), and probabilities, shape (n, n_classes)."""
        n_classes = proba.shape[1]
        levels = [Levels.of(y == c, proba[:, c]) for c in range(n_classes)]
        kept = [_some(len(each.cutoffs)) for each in levels]
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(each, field)[k] for each, k in zip(levels, kept,
                                                                             strict=True)])
            for name, field in (("cutoff", "cutoffs"), ("hits", "hits"), ("alarms", "alarms"))
        }  # fmt: skip
        return cls(
            np.repeat(np.arange(n_classes), [len(k) for k in kept]),
            support=np.bincount(y, minlength=n_classes),
            **columns,
        )

    def levels(self, column: int) -> Levels:
        """Those of one class."""
        rows, own = self.column == column, int(self.support[column])
        return Levels(
            self.cutoff[rows], self.hits[rows], self.alarms[rows], own,
            int(self.support.sum()) - own,
        )  # fmt: skip

    def sound(self, **sizes: int) -> bool:
        """Whether each class's cutoffs fall, and its counts rise to no more than there are."""
        column, n = self.column, len(self.support)
        if (self.support < 0).any() or (len(column) and not 0 <= column.min() <= column.max() < n):
            return False
        same = np.diff(column) == 0
        own = self.support[column]
        return bool(
            (np.diff(column) >= 0).all()
            and (np.diff(self.cutoff)[same] < 0).all()
            and (np.diff(self.hits)[same] > 0).all()
            and (np.diff(self.alarms)[same] >= 0).all()
            and ((self.cutoff >= 0) & (self.cutoff <= 1)).all()
            and ((self.hits > 0) & (self.hits <= own)).all()
            and ((self.alarms >= 0) & (self.alarms <= self.support.sum() - own)).all()
        )


def _some(n: int) -> IntArray:
    """At most `MOST_LEVELS` of the rows, ends included."""
    if n <= MOST_LEVELS:
        return np.arange(n)
    return np.unique(np.linspace(0, n - 1, MOST_LEVELS).round().astype(np.int64))
