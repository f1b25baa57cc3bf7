"""One answer for each group of images that were scored: patient, specimen, lot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.artifact.grouped import GroupPredictions, predict_groups
from featx.artifact.trust import Trust
from featx.config import DatasetConfig
from featx.data.name_parts import free_name
from featx.errors import UsageError
from featx.files import printable
from featx.scoring.scores import Scores
from featx.types import Failure, FloatArray, IntArray

OWN = "group"  # the groups that the data set has anyway
HINT = (
    "Name a column of the manifest (--by-group patient), say where in the path the group is "
    "(--by-group name:0, --by-group folder:0, --by-group 'patient([0-9]+)'), or give --group FILE."
)


@dataclass(frozen=True)
class GroupScores(Scores):
    """Predictions for every group, in the order of their first images.

    Beside what `Scores` has, with groups in the place of files:

    Attributes
    ----------
    way : str
        How images gave the answer: ``mean``, ``vote``, ``max:CLASS`` or ``noisy-or:CLASS``.
    n_images, n_unreadable : ndarray of shape (n_groups,), int64
        Images of each group, and those of them that could not be read: the answer is made of the
        others.
    ood_share : ndarray of shape (n_groups,), float64, or None
        Share of the images that are out of distribution, of those that were read; NaN where none
        was. None where the model has no such score.
    """

    way: str = "mean"
    n_images: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    n_unreadable: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    ood_share: FloatArray | None = None

    def __repr__(self) -> str:
        return super().__repr__().replace(f"{len(self):,} images", f"{len(self):,} groups", 1)

    @property
    def row_name(self) -> str:
        """Name of the first column."""
        return "group"

    @property
    def more(self) -> dict[str, list[Any]]:
        """Share out of distribution, and how many images the answer is made of."""
        shares = {} if self.ood_share is None else {"ood_share": self.ood_share.tolist()}
        counts = {"n_images": self.n_images.tolist(), "n_unreadable": self.n_unreadable.tolist()}
        return {**shares, **counts}

    def document(self) -> dict[str, Any]:
        """The summary as a JSON document."""
        return {
            "way": self.way,
            "groups": len(self),
            "predicted": len(self) - len(self.failures),
            "incomplete": int((self.n_unreadable > 0).sum()),
            "classes": self.counts(),
            "abstained": None if self.abstained is None else int(self.abstained.sum()),
            "output": self.output,
        }


def grouped_data(data: DatasetConfig, by_group: str | None) -> DatasetConfig:
    """The data set with the groups that ``by_group`` names.

    Raises
    ------
    UsageError
        A column is named, and the data set is a folder; or groups are named in two ways.
    """
    if by_group is None or by_group == OWN:
        return data
    rule = re.search(r"[:(]", by_group) is not None
    field_name = "group_from" if rule else "group_column"
    given = getattr(data, field_name)
    if given is not None and given != by_group:
        flag = field_name.replace("_", "-")
        raise UsageError(
            f"--by-group {printable(by_group)} and --{flag} {printable(given)} name two kinds of "
            "groups.",
            hint=f"Give --{flag} and a bare --by-group.",
        )
    if not rule and Path(data.dataset).is_dir():
        raise UsageError(
            f"--by-group {printable(by_group)} names a column, and '{printable(data.dataset)}' is "
            "not a manifest file.",
            hint=HINT,
        )
    return data.model_copy(update={field_name: by_group})


def require_groups(groups: Mapping[str, str], source: str) -> None:
    """Refuse to answer by group where no group is known.

    Raises
    ------
    UsageError
    """
    if not groups:
        raise UsageError(f"--by-group: '{printable(source)}' names no groups.", hint=HINT)


def score_groups(
    scores: Scores,
    groups: Mapping[str, str],
    way: str | None = None,
    abstain_below: float | None = None,
) -> GroupScores:
    """Pool predictions for images into one for each group; no group is left out.

    Parameters
    ----------
    scores : Scores
    groups : mapping of str to str
        Group of an image by its id; an image without one is a group by itself, under its own name.
    way : str, optional
        See `featx.artifact.grouped.predict_groups`.
    abstain_below : float, optional
        Abstain also where the predicted class of a group is less probable.

    Raises
    ------
    ConfigError, UnknownNameError
        ``way`` is none.
    """
    trust = scores.trust or Trust()
    names = _names(scores.ids, groups)
    read = np.flatnonzero(scores.y_pred >= 0)
    found = predict_groups(
        trust,
        scores.classes,
        scores.probabilities[read],
        scores.y_pred[read],
        [names[i] for i in read],
        way=way,
    )
    if found.sets is None:
        console.warn(_without_sets(trust, found.way))
    if abstain_below is not None:
        p = found.probabilities[np.arange(len(found)), found.y_pred]
        abstained = np.zeros(len(found), bool) if found.abstained is None else found.abstained
        found = replace(found, abstained=abstained | (p < abstain_below))
    return _rows(scores, names, found)


def _names(ids: list[str], groups: Mapping[str, str]) -> list[str]:
    """Group of each image; what has none goes by its own name, which no group has."""
    taken = set(groups.values())
    return [groups[id] if id in groups else free_name(id, taken) for id in ids]


def _without_sets(trust: Trust, way: str) -> str:
    """Why rows of groups have no prediction sets."""
    if trust.groups is None:
        why = "it was fitted without groups, or by an earlier featx"
        return (
            f"the model has no prediction sets for groups ({why}), so the rows of groups have "
            "none. Fit it on images with groups: featx fit ... --group-column COLUMN."
        )
    known = ", ".join(trust.groups.sets) or "none: no training group had a class of its own"
    return (
        f"the model has no prediction sets for groups answered by {printable(way)} (it has: "
        f"{printable(known)}), so the rows of groups have none. Fit it with --group-answer."
    )


def _rows(scores: Scores, names: list[str], found: GroupPredictions) -> GroupScores:
    """All groups aligned, those without a readable image too."""
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    codes = np.array([number[name] for name in names], np.int64)
    n, read = len(number), scores.y_pred >= 0
    at = np.array([number[name] for name in found.names], np.int64)
    n_images = np.bincount(codes, minlength=n)
    n_unreadable = np.bincount(codes[~read], minlength=n)
    predictions = np.full(n, None, object)
    predictions[at] = found.predictions
    proba = _placed(np.full((n, len(scores.classes)), np.nan), at, found.probabilities)
    share = None
    if scores.ood is not None:
        far = np.bincount(codes, weights=scores.ood & read, minlength=n)
        n_read = n_images - n_unreadable
        share = np.divide(far, n_read, out=np.full(n, np.nan), where=n_read > 0)
    sets = None if found.sets is None else _placed(np.zeros(proba.shape, bool), at, found.sets)
    abstained = None
    if found.abstained is not None:
        abstained = _placed(np.zeros(n, bool), at, found.abstained)
    return GroupScores(
        ids=list(number),
        classes=scores.classes,
        predictions=predictions,
        probabilities=proba,
        failures=_unread(scores, names, set(found.names), n_images, number),
        report=scores.report,
        averaged=scores.averaged,
        sets=sets,
        abstained=abstained,
        top_k=scores.top_k,
        proba=scores.proba,
        cutoff=None if found.way == "vote" else scores.cutoff,
        threshold=scores.threshold,
        trust=scores.trust,
        way=found.way,
        n_images=n_images,
        n_unreadable=n_unreadable,
        ood_share=share,
    )


def _placed(into: Any, at: IntArray, values: Any) -> Any:
    into[at] = values
    return into


def _unread(
    scores: Scores,
    names: list[str],
    predicted: set[str],
    n_images: IntArray,
    number: Mapping[str, int],
) -> list[Failure]:
    """Groups of which no image could be read."""
    group = dict(zip(scores.ids, names, strict=True))
    found: dict[str, Failure] = {}
    for failure in scores.failures:
        name = group[failure.id]
        if name not in predicted and name not in found:
            n = int(n_images[number[name]])
            reason = f"none of {console.counted(n, 'image')} could be read: {failure.reason}"
            found[name] = replace(failure, id=name, reason=reason)
    return list(found.values())
