"""How far to trust an answer: the ``trust`` key of ``model.json``.

Everything is a plain number that was fitted out of fold (`featx.fitting.trust`); what needs arrays
as well lies in a file of its own (`featx.artifact.novelty`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from featx.artifact.calibration import Calibration, Positive, Share
from featx.artifact.conformity import SetMethod, conformities
from featx.artifact.decision import Decision
from featx.artifact.entry import ModelEntry
from featx.errors import FeatxError
from featx.stats.groups import read_way
from featx.types import BoolArray, FloatArray, IntArray


class PredictionSets(ModelEntry):
    """Conformal prediction sets (`featx.stats.conformal` fits them).

    Parameters
    ----------
    coverage : float
        Share of images whose true class is to be in their set.
    over : {"images", "classes"}
        Whether that holds over all images, or of each class by itself.
    thresholds : list of float
        For each class the smallest conformity that puts it into a set.
    method : {"lac", "aps", "raps"}
        What the conformity is; see `featx.artifact.conformity`. With ``lac`` the probability.
    """

    coverage: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
    over: Literal["images", "classes"]
    thresholds: list[Share]
    method: SetMethod = "lac"

    def sets(self, probabilities: FloatArray, predicted: IntArray) -> BoolArray:
        """Which classes are in the set of each image, shape (n, n_classes).

        The predicted class always is: a set is never empty, and covers no less for it.
        """
        inside = self._reached(probabilities)
        inside[np.arange(len(predicted)), predicted] = True
        return inside

    def abstains(self, probabilities: FloatArray, predicted: IntArray) -> BoolArray:
        """Whose prediction is not to be relied on, shape (n,).

        All but those whose predicted class reaches its threshold and is the only one that does.
        Where no class does, the set holds the predicted class alone, but not because it is likely.
        """
        reached = self._reached(probabilities)
        return ~reached[np.arange(len(predicted)), predicted] | (reached.sum(axis=1) > 1)

    def _reached(self, probabilities: FloatArray) -> BoolArray:
        """Whose conformity reaches the threshold of its class, shape (n, n_classes)."""
        return conformities(self.method, probabilities) >= np.array(self.thresholds)


class NoveltyLimit(ModelEntry):
    """Above which out-of-distribution score an image is flagged.

    Parameters
    ----------
    method : {"mahalanobis"}
    rate : float
        Share of images like the training images that are flagged, by mistake.
    limit : float
        The score that so many held-out training images exceed.
    """

    method: Literal["mahalanobis"] = "mahalanobis"
    rate: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
    limit: Positive


class DriftSample(ModelEntry):
    """Which training images new ones are held against (`featx.artifact.drift` has the arrays).

    Parameters
    ----------
    images : int
        In the sample.
    grouped : bool
        Whether they belonged to groups, such as patients, beyond exact copies.
    """

    images: Annotated[int, Field(gt=0)]
    grouped: bool


class Usual(ModelEntry):
    """How often training images were abstained from and flagged while they were held out.

    New images are held against these rates: see `featx.scoring.checks`.

    Parameters
    ----------
    images : int
        Distinct images, or groups of them, that the rates are of.
    abstained, ood : float
        Shares of the images.
    """

    images: Annotated[int, Field(gt=0)]
    abstained: Share
    ood: Share


class OperatingSample(ModelEntry):
    """What cutoffs are chosen on (`featx.artifact.operating` has the arrays).

    Parameters
    ----------
    images : int
        Of which there are predictions.
    predicted : {"out of fold", "validation"}
        By classifiers of the other folds, or by a network whose training they ended.
    """

    images: Annotated[int, Field(gt=0)]
    predicted: Literal["out of fold", "validation"] = "out of fold"


class GroupAnswers(ModelEntry):
    """One answer for the images of a group, such as a patient (`featx.stats.groups`).

    Parameters
    ----------
    way : str
        How images give it: ``mean``, ``vote``, ``max:CLASS`` or ``noisy-or:CLASS``.
    groups : int
        Groups with a class of their own, out of fold, that the sets of ``way`` were fitted on.
    sets : dict of str to PredictionSets
        By the way, prediction sets of groups; ``images`` in ``over`` means groups there.
    """

    way: str
    groups: Annotated[int, Field(ge=0)]
    sets: dict[str, PredictionSets]


class Trust(ModelEntry):
    """What a model says of its own answers; each part may be missing."""

    calibration: Calibration | None = None
    decision: Decision | None = None
    sets: PredictionSets | None = None
    novelty: NoveltyLimit | None = None
    drift: DriftSample | None = None
    usual: Usual | None = None
    operating: OperatingSample | None = None
    groups: GroupAnswers | None = None

    absent = ("groups",)

    @property
    def reorders(self) -> bool:
        """Whether the predicted class may be another than the head's own answer."""
        mended = self.calibration is not None and self.calibration.method != "temperature"
        return mended or self.decision is not None

    def decide(self, probabilities: Any) -> Any:
        """Predicted classes as indices, shape (n,)."""
        if self.decision is not None:
            return self.decision.decide(probabilities)
        return probabilities.argmax(axis=1)

    def fault(self, classes: Sequence[str]) -> str | None:
        """What does not fit a model of these classes; None where all does."""
        n_classes = len(classes)
        if self.decision is not None and not self.decision.fits(n_classes):
            return f"trust.decision is not for {n_classes} classes"
        lengths = {}
        if self.sets is not None:
            lengths["sets.thresholds"] = len(self.sets.thresholds)
        if self.groups is not None:
            try:
                for way in (self.groups.way, *self.groups.sets):
                    read_way(way, classes)
            except FeatxError:
                return "trust.groups names a way to answer that does not exist"
            for way, sets in self.groups.sets.items():
                lengths[f"groups.sets.{way}"] = len(sets.thresholds)
        for name, value in () if self.calibration is None else self.calibration:
            if isinstance(value, list):
                lengths[f"calibration.{name}"] = len(value)
        for name, length in lengths.items():
            if length != n_classes:
                return f"trust.{name} has {length} entries for {n_classes} classes"
        return None
