"""Predictions for images that the predicting classifier was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx.data.splits import count_classes
from featx.errors import FitError
from featx.fitting.data import Part
from featx.stats.operating import Evaluated
from featx.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class HeldOut:
    """Predictions for images that the predicting classifier was not fitted on."""

    # ``oof`` (out-of-fold of the chosen trial), ``nested`` (out-of-fold of nested searches),
    # ``repeated-1`` and so on, ``test`` or ``holdout``
    split: str
    part: Part
    fold: IntArray  # shape (n,), int64; -1 in the test split and in what was held out
    proba: FloatArray  # shape (n, n_classes)
    # shape (n,), int64; predicted classes where they are not the likeliest ones
    decided: IntArray | None = None
    # all of them, where these are only some of the images of a search, and which: a mask
    whole: HeldOut | None = None
    rows: BoolArray | None = None

    def unseen(self) -> HeldOut:
        """Without the images that chose among embeddings."""
        if self.part.apart is None:
            return self
        rows = ~self.part.apart
        part = self.part.take(rows)
        check_left_over(part.y, part.classes)
        decided = None if self.decided is None else self.decided[rows]
        return HeldOut(
            self.split, part, self.fold[rows], self.proba[rows], decided, whole=self, rows=rows
        )

    @property
    def n_folds(self) -> int | None:
        """Folds, each predicted by another classifier; None where one predicted all."""
        return int(self.fold.max()) + 1 or None

    @property
    def y_pred(self) -> IntArray:
        """Predicted classes as indices."""
        if self.decided is not None:
            return self.decided
        return np.asarray(self.proba.argmax(axis=1))


@dataclass(frozen=True)
class EvaluationSet:
    """Images that evaluate the returned classifier once: ``method`` is ``test`` or ``holdout``."""

    method: str
    part: Part

    def held(self, proba: FloatArray, decided: IntArray | None = None) -> HeldOut:
        """What one classifier predicts for them."""
        return HeldOut(self.method, self.part, np.full(len(self.part), -1), proba, decided)


def check_left_over(y: IntArray, classes: list[str]) -> None:
    """Refuse a race that has left fewer than two classes to evaluate on.

    Raises
    ------
    FitError
    """
    if len(np.unique(y)) < 2:
        raise FitError(
            f"The race drew all images but {count_classes(y, classes) or 'none'}: fewer than two "
            "classes are left to evaluate on.",
            hint="Race with a smaller --apart or smaller --rounds.",
        )


def pool(held: Sequence[HeldOut]) -> Evaluated:
    """Predictions of the same images, as several partitions give them, one after the other."""
    part = held[0].part
    return Evaluated(
        np.tile(part.y, len(held)),
        np.concatenate([h.proba for h in held]),
        np.concatenate([h.y_pred for h in held]),
        np.tile(part.components, len(held)),
        np.concatenate([h.fold for h in held]),
        np.repeat(np.arange(len(held)), len(part)),
    )
