"""What a report is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Embedded", "Subject"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


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
    y: Int
    tested: NDArray[np.bool_]
    X: NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """One run, and what it says of images that its model was not fitted on.

    Parameters
    ----------
    name : str
        Of the run.
    results, environment : mapping
        ``results.json`` and ``environment.json``.
    judged_on : str
        In words, such as ``"the test split"``.
    ids : list of str of length n
    repeat, fold : ndarray of shape (n,), int64
        Which prediction of several, from 0; -1 of ``fold`` where one classifier judges all.
    y, predicted : ndarray of shape (n,), int64
        Indices into the run's classes.
    probabilities : ndarray of shape (n, n_classes)
    failures : sequence of mapping
        Rows of ``failures.csv``.
    training : sequence of mapping
        Rows of ``curves.csv``; empty where nothing was fine-tuned.
    command : str
        What makes the run again.
    embedded : Embedded, optional
        None where the images or their embeddings are not there, for the reason ``missing``.
    missing : str
        A sentence, or empty.
    """

    name: str
    results: Mapping[str, Any]
    environment: Mapping[str, Any]
    judged_on: str
    ids: list[str]
    repeat: Int
    fold: Int
    y: Int
    predicted: Int
    probabilities: Float
    failures: Sequence[Mapping[str, str]]
    training: Sequence[Mapping[str, str]]
    command: str
    embedded: Embedded | None
    missing: str = ""

    @property
    def classes(self) -> list[str]:
        """Names, in the order of the columns."""
        return list(self.results["classes"])

    @property
    def estimate(self) -> Mapping[str, Any]:
        """The number to report, with everything beside it."""
        estimate: Mapping[str, Any] = self.results["estimate"]
        return estimate
