"""One answer of a model for the images of each group, such as a patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featx.artifact.trust import Trust
from featx.errors import UsageError
from featx.stats.groups import read_way
from featx.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class GroupPredictions:
    """Predictions for groups of images.

    Attributes
    ----------
    names : list of str
        Groups, in the order of their first images.
    way : str
        How images gave the answer: ``mean``, ``vote``, ``max:CLASS`` or ``noisy-or:CLASS``.
    y_pred : ndarray of shape (n_groups,), int64
        Index of the predicted class.
    predictions : ndarray of shape (n_groups,), object
        Its name.
    probabilities : ndarray of shape (n_groups, n_classes), float64
    sets : ndarray of shape (n_groups, n_classes), bool, or None
        Classes in the prediction set of each group; None where the model has none for this way.
    abstained : ndarray of shape (n_groups,), bool, or None
        Whether the prediction is not to be relied on.
    n_images : ndarray of shape (n_groups,), int64
        Images that the answer was made of.
    """

    names: list[str]
    way: str
    y_pred: IntArray
    predictions: NDArray[np.object_]
    probabilities: FloatArray
    sets: BoolArray | None
    abstained: BoolArray | None
    n_images: IntArray

    def __len__(self) -> int:
        return len(self.names)


def predict_groups(
    trust: Trust,
    classes: Sequence[str],
    proba: FloatArray,
    y_pred: IntArray,
    groups: Sequence[str],
    *,
    way: str | None = None,
) -> GroupPredictions:
    """Pool the predictions for images into one for each group.

    Parameters
    ----------
    trust : Trust
        Of the model: how it answers for groups, and by which threshold or costs it decides.
    classes : sequence of str
    proba : ndarray of shape (n, n_classes), float64
    y_pred : ndarray of shape (n,), int64
    groups : sequence of str
        Group of each image.
    way : str, optional
        Instead of the model's own, which is ``mean`` where it was fitted without groups.

    Raises
    ------
    UsageError, ConfigError, UnknownNameError
        There are not as many groups as images, or ``way`` is none; see
        `featx.stats.groups.read_way`.
    """
    if len(groups) != len(proba):
        raise UsageError(f"There are {len(groups)} groups for {len(proba)} images.")
    known = trust.groups
    how = read_way(way or (known.way if known else "mean"), classes)
    number = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    codes = np.array([number[name] for name in groups], np.int64)
    pooled = how.pool(proba, y_pred, codes)
    # votes were decided image by image
    decided = pooled.argmax(axis=1) if how.name == "vote" else trust.decide(pooled)
    decided = np.asarray(decided, np.int64)
    text = how.text(classes)
    sets = known.sets.get(text) if known else None
    return GroupPredictions(
        names=list(number),
        way=text,
        y_pred=decided,
        predictions=np.array(classes, object)[decided],
        probabilities=pooled,
        sets=None if sets is None else sets.sets(pooled, decided),
        abstained=None if sets is None else sets.abstains(pooled, decided),
        n_images=np.bincount(codes, minlength=len(number)),
    )
