"""The probability from which a class is decided for, so that it reaches a target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx.types import BoolArray, FloatArray, IntArray

ALARMS_PER = 1000  # images, that false alarms are counted in
WITHOUT_IMAGES = 0.5  # the cutoff of a class that there is no image of
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Levels:
    """What each cutoff that is worth a choice decides: the probabilities of the class's own images.

    A cutoff between two of them finds no more of the class and raises more false alarms.

    Parameters
    ----------
    cutoffs : ndarray of shape (m,), float64
        Falling; m is at most the number of images of the class.
    hits, alarms : ndarray of shape (m,), int64
        Images of the class, and others, whose probability is at least the cutoff.
    n_own, n_rest : int
        Images of the class, and others.
    """

    cutoffs: FloatArray
    hits: IntArray
    alarms: IntArray
    n_own: int
    n_rest: int

    @classmethod
    def of(cls, own: BoolArray, proba: FloatArray) -> Levels:
        """From which images are of the class, and its probability of each, shape (n,)."""
        proba = np.clip(proba, 0.0, 1.0)  # rows of float32 add up to a little more
        rest = np.sort(proba[~own])
        cutoffs, counts = np.unique(proba[own], return_counts=True)
        cutoffs = cutoffs[::-1]
        return cls(
            cutoffs,
            np.cumsum(counts[::-1]),
            len(rest) - np.searchsorted(rest, cutoffs, "left"),
            int(own.sum()),
            len(rest),
        )

    def at(self, cutoff: float) -> tuple[int, int]:
        """Images of the class at or above a cutoff, and at most how many others are."""
        first = int(np.searchsorted(-self.cutoffs, -cutoff, "left"))
        n = int(np.searchsorted(-self.cutoffs, -cutoff, "right"))
        alarms = int(self.alarms[first]) if first < len(self.alarms) else self.n_rest
        return (int(self.hits[n - 1]) if n else 0), alarms

    def choose(self, metric: str, target: float, prevalence: float | None = None) -> float:
        """The cutoff that reaches ``target`` and finds most of the class, or raises least alarms.

        Parameters
        ----------
        metric : {"recall", "precision", "false-alarms", "cutoff"}
        target : float
            A share; of false alarms that among all images. A ``cutoff`` is itself the answer.
        prevalence : float, optional
            Share of the class where precision and false alarms are to hold; by default its share
            of these images.

        Returns
        -------
        float
            For a recall the largest cutoff that reaches it; for a precision or a share of false
            alarms the smallest. A precision that no cutoff reaches: where it is highest; a limit
            that every cutoff exceeds: the largest. Without images of the class 0.5.
        """
        if metric == "cutoff":
            return target
        if not len(self.cutoffs):
            return WITHOUT_IMAGES
        hits, alarms = self.hits.astype(float), self.alarms.astype(float)
        of_class = of_rest = 1.0  # the weight of an image
        if prevalence is not None:
            of_class, of_rest = prevalence / self.n_own, (1 - prevalence) / max(self.n_rest, 1)
        if metric == "recall":
            return float(self.cutoffs[np.argmax(hits / self.n_own >= target - ROUNDING)])
        if metric == "precision":
            precision = hits * of_class / (hits * of_class + alarms * of_rest)
            enough = np.flatnonzero(precision >= min(target, float(precision.max())) - ROUNDING)
            return float(self.cutoffs[enough[-1]])
        share = alarms * of_rest / (self.n_own * of_class + self.n_rest * of_rest)
        few = np.flatnonzero(share <= target + ROUNDING)
        return float(self.cutoffs[few[-1] if len(few) else 0])


def known_within(n: int, share: float) -> float:
    """How far below ``share`` the share of a population may lie where ``n`` images show it.

    The lower end of the exact 95 % interval (Clopper and Pearson, Biometrika 26, 1934) of the
    largest number of hits that is not above ``share``; 1 where there are none.
    """
    from scipy.stats import beta

    hits = int(np.floor(n * share + 1e-9))
    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    return share - low if n else share
