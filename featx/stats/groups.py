"""From predictions for images to one prediction for each group: patient, plot, lot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx.errors import ConfigError, UnknownNameError
from featx.types import FloatArray, IntArray

AUTO = "auto"
FORMS = "mean, vote, max:CLASS or noisy-or:CLASS"


@dataclass(frozen=True)
class Way:
    """How the images of a group give its probabilities.

    Parameters
    ----------
    name : {"mean", "vote", "max", "noisy-or"}
        Mean of the images' probabilities; share of the images that each class is predicted for;
        largest probability of one class among the images; or probability that at least one image
        is of that class, if the images were independent.
    column : int, optional
        That class, by its place among the classes; the others share the rest of the probability as
        their means do. None with ``mean`` and ``vote``.
    """

    name: str
    column: int | None = None

    def text(self, classes: Sequence[str]) -> str:
        """As it is asked for: ``max:sick``."""
        return self.name if self.column is None else f"{self.name}:{classes[self.column]}"

    def pool(self, proba: FloatArray, y_pred: IntArray, codes: IntArray) -> FloatArray:
        """Probabilities of each group.

        Parameters
        ----------
        proba : ndarray of shape (n, n_classes), float64
        y_pred : ndarray of shape (n,), int64
            Predicted classes.
        codes : ndarray of shape (n,), int64
            Group of each image; every number from 0 to the largest is used.

        Returns
        -------
        ndarray of shape (n_groups, n_classes), float64
            Rows sum to 1. With ``vote`` the mean probabilities count as one more vote, which
            decides between classes of equally many.
        """
        sizes = np.bincount(codes)[:, None]
        mean = sums_by(proba, codes) / sizes
        if self.name == "mean":
            return mean
        if self.name == "vote":
            votes = sums_by(np.eye(proba.shape[1])[y_pred], codes)
            return (votes + mean) / (sizes + 1)
        own = np.clip(proba[:, self.column], 0.0, 1.0)
        reached = np.zeros(len(sizes))
        if self.name == "max":
            np.maximum.at(reached, codes, own)
        else:
            with np.errstate(divide="ignore"):  # a probability of 1 decides alone
                reached = -np.expm1(np.bincount(codes, weights=np.log1p(-own)))
        return self._with_rest(mean, reached)

    def _with_rest(self, mean: FloatArray, reached: FloatArray) -> FloatArray:
        """``reached`` for the class, the rest for the others as their means share it."""
        others = np.arange(mean.shape[1]) != self.column
        rest = np.where(others, mean, 0.0)
        total = rest.sum(axis=1, keepdims=True)
        even = np.broadcast_to(others / max(int(others.sum()), 1), mean.shape)
        shares = np.divide(rest, total, out=even.copy(), where=total > 0)
        pooled = shares * (1 - reached)[:, None]
        pooled[:, self.column] = reached
        return pooled

    def labels(self, y: IntArray, codes: IntArray) -> IntArray:
        """Class of each group, shape (n_groups,); -1 where its images are of several.

        With ``max`` and ``noisy-or`` one image of the class makes the group one of it.
        """
        _, first, sizes = np.unique(codes, return_index=True, return_counts=True)
        labels = y[first]
        same = np.bincount(codes, weights=y == labels[codes]) == sizes
        found = np.where(same, labels, -1)
        if self.column is not None:
            found[np.bincount(codes, weights=y == self.column) > 0] = self.column
        return np.asarray(found, np.int64)


def sums_by(values: FloatArray, codes: IntArray) -> FloatArray:
    """Sums of the rows of ``values`` (n, n_columns) with each code, shape (n_codes, n_columns)."""
    sums = np.zeros((int(codes.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums


def possible_ways(n_classes: int) -> list[Way]:
    """Ways that can be chosen among: with two classes also one positive image of either."""
    ways = [Way("mean"), Way("vote")]
    if n_classes == 2:
        ways += [Way(name, column) for name in ("max", "noisy-or") for column in range(2)]
    return ways


def read_way(text: str, classes: Sequence[str]) -> Way:
    """``mean``, ``vote``, ``max:CLASS`` or ``noisy-or:CLASS``.

    Raises
    ------
    ConfigError, UnknownNameError
        It is none of these, or the class does not exist.
    """
    name, colon, label = text.partition(":")
    if name not in (("max", "noisy-or") if colon else ("mean", "vote")):
        raise ConfigError(
            f"--group-answer {text!r} is not {FORMS}.",
            hint="max and noisy-or name the class of which one image makes the whole group "
            "positive: max:sick.",
        )
    if colon and label not in classes:
        raise UnknownNameError("class", label, classes)
    return Way(name, list(classes).index(label) if colon else None)
