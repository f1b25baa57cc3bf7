"""What a page of new images is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.stats.drift import Shift

__all__ = ["LEVEL", "Drifted", "Scored"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Mask = NDArray[np.bool_]

LEVEL = 0.05  # of both tests together
TESTS = 2


@dataclass(frozen=True)
class Drifted:
    """New images held against a sample of the training images.

    Parameters
    ----------
    place, mix : Shift
        Of embeddings and of predicted classes.
    rows : ndarray of shape (n,), int64
        The images that were tested.
    old_places, new_places : ndarray of shape (n_sample, n_axes) and (n, n_axes)
    old_shares : ndarray of shape (n_classes,)
        Share of each class among what was predicted for the sample, by classifiers that had not
        seen it.
    old_probabilities : ndarray of shape (n_sample,)
    n_read : int
        Images that the tested ones were drawn from.
    old_grouped, new_grouped : bool
        Whether groups such as patients are known.
    """

    place: Shift
    mix: Shift
    rows: Int
    old_places: Float
    new_places: Float
    old_shares: Float
    old_probabilities: Float
    n_read: int
    old_grouped: bool
    new_grouped: bool

    @property
    def p_place(self) -> float:
        """Of embeddings, adjusted for two tests by Bonferroni."""
        return min(1.0, TESTS * self.place.p)

    @property
    def p_mix(self) -> float:
        """Of predicted classes, likewise."""
        return min(1.0, TESTS * self.mix.p)

    @property
    def moved(self) -> bool:
        """Whether either is significant at 5 %."""
        return min(self.p_place, self.p_mix) <= LEVEL

    @property
    def share_moved(self) -> float:
        """Total variation distance of the predicted classes: the least share that has changed."""
        return float(np.abs(self.mix.parts).sum() / 2)

    def document(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {
            "drift": self.moved,
            "images": len(self.rows),
            "training_images": len(self.old_places),
            "embeddings": {
                "p_adjusted": self.p_place,
                "largest_ks_distance": self.place.statistic,
                "usual_ks_distance": self.place.usual,
            },
            "predicted_classes": {
                "p_adjusted": self.p_mix,
                "chi_square": self.mix.statistic,
                "share_moved": self.share_moved,
            },
        }


@dataclass(frozen=True)
class Scored:
    """New images and what a model says of them.

    Parameters
    ----------
    source : str
        Where the images are, as it was asked for.
    model : mapping
        ``backbone`` and ``head``, text, and ``estimate``: the model's own, or empty.
    classes : list of str
    ids, paths : list of str of length n
    predicted : ndarray of shape (n,), int64
        -1 where the file could not be read.
    probabilities : ndarray of shape (n, n_classes)
        NaN there.
    abstained, ood : ndarray of shape (n,), bool, or None
    ood_scores : ndarray of shape (n,), or None
    ood_rate, ood_limit : float or None
        Share of images like the training images that is flagged, and above which score.
    failures : sequence of (str, str)
        Name and reason.
    drift : Drifted or None
    no_drift : str
        Why there is none.
    command : str
        What makes the page again; empty where that cannot be said.
    facts : sequence of str
        Sentences on time and versions.
    """

    source: str
    model: Mapping[str, Any]
    classes: list[str]
    ids: list[str]
    paths: list[str]
    predicted: Int
    probabilities: Float
    abstained: Mask | None
    ood: Mask | None
    ood_scores: Float | None
    ood_rate: float | None
    ood_limit: float | None
    failures: Sequence[tuple[str, str]]
    drift: Drifted | None
    no_drift: str
    command: str
    facts: Sequence[str]

    @property
    def read(self) -> Int:
        """Rows of the files that could be read."""
        return np.flatnonzero(self.predicted >= 0)

    @property
    def sure(self) -> Float:
        """Probability of what was predicted, shape (n,); NaN where nothing was."""
        sure = self.probabilities[np.arange(len(self.ids)), np.maximum(self.predicted, 0)]
        return np.asarray(np.where(self.predicted >= 0, sure, np.nan))

    @property
    def counts(self) -> Int:
        """Images of each predicted class, shape (n_classes,)."""
        return np.bincount(self.predicted[self.read], minlength=len(self.classes))
