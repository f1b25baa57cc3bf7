"""What a page of new images is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from featx.artifact import Model
from featx.scoring.drift import Drifted
from featx.scoring.scores import Scores
from featx.types import FloatArray, IntArray


@dataclass(frozen=True)
class ScoredFolder:
    """New images and what a model predicts for them.

    Parameters
    ----------
    source : str
        Where the images are, as it was asked for.
    model : Model
    scores : Scores
    paths : list of str
        Of the files, in the order of the scores.
    drift : Drifted or None
    no_drift : str
        Why there is none.
    command : str
        What makes the page again; empty where that cannot be said.
    facts : sequence of str
        Sentences on time and versions.
    history : sequence of mapping
        Lines of ``--history``, the oldest first, that of these images last; empty without it.
    """

    source: str
    model: Model
    scores: Scores
    paths: list[str]
    drift: Drifted | None
    no_drift: str
    command: str
    facts: Sequence[str]
    history: Sequence[Mapping[str, Any]] = ()

    @property
    def classes(self) -> list[str]:
        """Of the model."""
        return self.scores.classes

    @property
    def y_pred(self) -> IntArray:
        """Index of each file's predicted class; -1 where it could not be read."""
        return self.scores.y_pred

    @property
    def read(self) -> IntArray:
        """Rows of the files that could be read."""
        return np.flatnonzero(self.y_pred >= 0)

    @cached_property
    def sure(self) -> FloatArray:
        """Probability of what was predicted, shape (n,); NaN where nothing was."""
        rows = np.arange(len(self.y_pred))
        sure = self.scores.probabilities[rows, np.maximum(self.y_pred, 0)]
        return np.asarray(np.where(self.y_pred >= 0, sure, np.nan))

    @property
    def counts(self) -> IntArray:
        """Images of each predicted class, shape (n_classes,)."""
        return np.bincount(self.y_pred[self.read], minlength=len(self.classes))
