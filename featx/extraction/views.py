"""Which augmented views of which files are wanted, and what their rows in the store are called."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.config import ExtractConfig
from featx.data.augment import Augmentation, named_augmentation, view_name
from featx.data.manifest import Manifest
from featx.types import BoolArray


@dataclass(frozen=True)
class ViewPlan:
    """So many views of some files.

    Parameters
    ----------
    augmentation : Augmentation
    n_views : int
        Of each file that has any.
    wanted : ndarray of shape (n_files,), bool
        Files that have views.
    """

    augmentation: Augmentation
    n_views: int
    wanted: BoolArray

    @property
    def made_by(self) -> dict[str, Any] | None:
        """The augmentation as JSON; None without any views."""
        return self.augmentation.model_dump() if self.n_views else None

    def document(self) -> dict[str, Any] | None:
        """How many views of each image there are, and of what kind, as JSON; None without any."""
        if not self.n_views:
            return None
        return {"n_views": self.n_views, "augmentation": self.made_by}

    def names(self, sha256: bytes) -> list[bytes]:
        """Rows of an image's views in a store, the first view first; 32 bytes each."""
        return [self.name(sha256, k) for k in range(self.n_views)]

    def name(self, sha256: bytes, k: int) -> bytes:
        """Row of an image's view ``k``, from 0."""
        return view_name(sha256, self.augmentation, k + 1)

    def part(self, start: int, stop: int) -> ViewPlan:
        """The plan of some consecutive files."""
        return replace(self, wanted=self.wanted[start:stop])


def plan_views(
    manifest: Manifest, config: ExtractConfig, augmentation: Augmentation | None
) -> ViewPlan:
    """Views of all images that are not in the test split, which is only ever predicted.

    Parameters
    ----------
    manifest : Manifest
    config : ExtractConfig
        ``views``, ``augment`` and ``upright`` are read.
    augmentation : Augmentation or None
        Instead of the one that ``config`` names.
    """
    return ViewPlan(
        augmentation or named_augmentation(config.augment, upright=config.upright),
        config.views,
        np.array([split != "test" for split in manifest.splits], bool) & (config.views > 0),
    )
