"""What a report is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.types import ARRAYS, FloatArray, IntArray


@dataclass(frozen=True)
class Embedded:
    """The images of a run with their embeddings, as far as they are still there.

    Parameters
    ----------
    ids : list of str
    paths : list of str
        Where each file is.
    y : ndarray of shape (n,), int64
        Index of the label; -1 for a label that is none of the run's classes.
    tested : ndarray of shape (n,), bool
        Whether the image is of the test split, or was held out, and so trained nothing.
    X : ndarray of shape (n, n_features), float32
    """

    ids: list[str]
    paths: list[str]
    y: IntArray
    tested: NDArray[np.bool_]
    X: NDArray[np.float32]


def standardised(X: NDArray[Any], by: NDArray[Any]) -> NDArray[Any]:
    """Embeddings less the mean of some, over their spread.

    A feature that never varies there is not divided by what rounding left of its spread.
    """
    mean, sd = by.mean(axis=0), by.std(axis=0)
    return np.asarray((X - mean) / np.where(sd > 1e-6 * np.abs(mean), sd, 1.0))


@dataclass(frozen=True)
class Heat:
    """Where in an image a decision comes from.

    Parameters
    ----------
    values : ndarray of shape (rows, columns)
        Above 0 speaks for one class, below 0 for the other.
    box : tuple of float
        Left, top, right and bottom of what the backbone sees, as shares of the image.
    """

    values: FloatArray
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Heats:
    """Heat maps of the images that are shown, or why there are none.

    Parameters
    ----------
    kind : {"activation", "attention"}
        See `featx.backbones.Explanation`.
    of : mapping of int to Heat
        By the row of the subject's predictions.
    fitted_on : bool
        Whether the model that they are of was fitted on these images too.
    missing : str
        Half a sentence where there are none.
    """

    kind: str = "activation"
    of: Mapping[int, Heat] = field(default_factory=dict)
    fitted_on: bool = False
    missing: str = ""


@dataclass(frozen=True)
class Finished:
    """What a finished run says of itself.

    Parameters
    ----------
    name : str
        Of the run.
    results, environment : mapping
        ``results.json`` and ``environment.json``.
    command : str
        What makes the run again where it was made.
    """

    name: str
    results: Mapping[str, Any]
    environment: Mapping[str, Any]
    command: str


@dataclass(frozen=True)
class Subject(Finished):
    """A finished run, and what it says of images that its model was not fitted on.

    Parameters
    ----------
    name, results, environment, command
        See `Finished`.
    judged_on : str
        In words, such as ``"the test split"``.
    ids : list of str of length n
    repeat, fold : ndarray of shape (n,), int64
        Which prediction of several, from 0; -1 of ``fold`` where one classifier judges all.
    y, y_pred : ndarray of shape (n,), int64
        Indices into the run's classes.
    proba : ndarray of shape (n, n_classes)
    failures : sequence of mapping
        Rows of ``failures.csv``.
    training : sequence of mapping
        Rows of ``curves.csv``; empty where nothing was fine-tuned.
    embedded : Embedded, optional
        None where the images or their embeddings are not there, for the reason ``missing``.
    missing : str
        A sentence, or empty.
    heats : Heats
        Empty where none were asked for.
    known : mapping of str to (str or None, str)
        Id -> group and SHA-256 of the image, as far as they are known.
    made : str
        The day that the run was made; empty where it is not known.
    """

    judged_on: str
    ids: list[str]
    repeat: IntArray
    fold: IntArray
    y: IntArray
    y_pred: IntArray
    proba: FloatArray
    failures: Sequence[Mapping[str, str]]
    training: Sequence[Mapping[str, str]]
    embedded: Embedded | None
    missing: str = ""
    heats: Heats = field(default_factory=Heats)
    known: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    made: str = ""

    @property
    def of_arrays(self) -> bool:
        """Whether its images are rows of numbers that were given: there are no pictures of them."""
        return ARRAYS in self.results.get("extraction", {})

    @property
    def classes(self) -> list[str]:
        """Names, in the order of the columns."""
        return list(self.results["classes"])

    @property
    def estimate(self) -> Mapping[str, Any]:
        """The number to report, with everything beside it."""
        estimate: Mapping[str, Any] = self.results["estimate"]
        return estimate
