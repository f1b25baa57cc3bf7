"""New images beside the training images: whether they have drifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.artifact import Model
from featx.artifact.trust import Trust
from featx.config import DatasetConfig
from featx.data.name_groups import number_groups
from featx.data.reader import read_manifest
from featx.data.splits import link_components
from featx.errors import FeatxError
from featx.extraction import Extraction, joined_embeddings
from featx.stats.drift import Shift, mix_shift, place_shift
from featx.types import BoolArray, FloatArray, IntArray

LEVEL = 0.05  # of both tests together
TESTS = 2
MOST_TESTED = 1000  # as many as a model's sample has; more would call any difference drift
LEAST_TESTED = 10
SEED = 0
BEFORE = "The model has no sample of its training images: fit it again to have one."


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
    rows: IntArray
    old_places: FloatArray
    new_places: FloatArray
    old_shares: FloatArray
    old_probabilities: FloatArray
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


@console.stage("Testing for drift")
def find_drift(
    model: Model,
    extractions: Sequence[Extraction],
    y_pred: IntArray,
    groups: Mapping[str, str],
    among: BoolArray | None = None,
) -> tuple[Drifted | None, str]:
    """Test whether the images are like those that the model was fitted on.

    Parameters
    ----------
    model : Model
    extractions : sequence of Extraction
        Of the images, by each of the model's extractors.
    y_pred : ndarray of shape (n_files,), int64
        Index of the predicted class; -1 where a file could not be read.
    groups : mapping of str to str
        Group of an image by its id, where one is known.
    among : ndarray of shape (n_files,), bool, optional
        The images to test; default None is all.

    Returns
    -------
    Drifted or None, str
        None for the reason that the text gives.
    """
    first, sample, facts = extractions[0], model.drift, (model.trust or Trust()).drift
    if sample is None or facts is None:
        return None, BEFORE
    some = first.ok if among is None else first.ok & among
    read = np.flatnonzero(some)
    blocks, grouped = image_blocks(first, groups)
    blocks = blocks[some[first.ok]]
    some = np.arange(len(read))
    if len(read) > MOST_TESTED:
        some = np.sort(np.random.default_rng(SEED).choice(some, MOST_TESTED, replace=False))
    rows, blocks = read[some], blocks[some]
    if len(np.unique(blocks)) < LEAST_TESTED:
        found = console.counted(len(read), "image", "is/are")
        return None, f"{found} too few: at least {LEAST_TESTED} different ones are needed."
    new_places = sample.locate(joined_embeddings(extractions, rows))
    places = np.concatenate([sample.places, new_places])
    new = np.arange(len(places)) >= len(sample.places)
    together = np.append(sample.blocks, blocks + sample.blocks.max() + 1)
    codes = np.append(sample.predicted, y_pred[rows])
    n_classes = len(model.classes)
    return Drifted(
        place=place_shift(places, new, together, seed=SEED),
        mix=mix_shift(codes, new, together, n_classes, seed=SEED),
        rows=rows,
        old_places=sample.places.astype(np.float64),
        new_places=new_places.astype(np.float64),
        old_shares=np.bincount(sample.predicted, minlength=n_classes) / len(sample.predicted),
        old_probabilities=sample.probabilities.astype(np.float64),
        n_read=len(read),
        old_grouped=facts.grouped,
        new_grouped=grouped,
    ), ""


def known_groups(images: DatasetConfig, *, needed: bool = False) -> dict[str, str]:
    """Group of each image where a manifest, a table or a rule names them.

    Parameters
    ----------
    images : DatasetConfig
    needed : bool, default False
        Whether groups that cannot be read are an error; else a warning says so.
    """
    if images.group is None and images.group_from is None and Path(images.dataset).is_dir():
        return {}
    try:
        rows = read_manifest(images, labelled=False, grouped=True).rows
    except FeatxError as error:
        if needed:
            raise
        console.warn(f"groups of the images are not known to the test of drift: {error.message}")
        return {}
    return {row.id: row.group for row in rows if row.group is not None}


def image_blocks(extraction: Extraction, groups: Mapping[str, str]) -> tuple[np.ndarray, bool]:
    """What belongs together among the images that were read: exact copies, and groups.

    Returns
    -------
    ndarray of shape (n_read,), int64
        Images with the same number belong together.
    bool
        Whether groups are known.
    """
    copies = extraction.copies
    if not groups:
        return copies, False
    ids = extraction.manifest.ids
    codes = number_groups([groups.get(ids[i]) or None for i in np.flatnonzero(extraction.ok)])
    return link_components(codes, copies), True
