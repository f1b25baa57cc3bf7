"""What an audit starts from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featx.auditing.looking import Look, look_at
from featx.data.copies import EqualImages, copy_codes, equal_sets
from featx.data.name_groups import number_groups
from featx.errors import DatasetError
from featx.extraction import Extraction
from featx.types import Float32Array, IntArray, UInt8Array


@dataclass(frozen=True)
class AuditData:
    """Images that could be read; row i is the same image everywhere.

    Parameters
    ----------
    ids : list of str
    X : ndarray of shape (n, n_features), float32
        Embeddings.
    hashes : ndarray of shape (n, 32), uint8
        SHA-256 of each file.
    labels, groups, splits : list of str or None
    looks : list of Look
    """

    ids: list[str]
    X: Float32Array
    hashes: UInt8Array
    labels: list[str | None]
    groups: list[str | None]
    splits: list[str | None]
    looks: list[Look]

    @classmethod
    def of(cls, extraction: Extraction, *, workers: int | None) -> AuditData:
        """The images that have an embedding and can still be decoded.

        Raises
        ------
        DatasetError
            There are none.
        """
        rows = [row for row, ok in zip(extraction.manifest.rows, extraction.ok, strict=True) if ok]
        looks = look_at([row.path for row in rows], workers=workers)
        kept = [i for i, look in enumerate(looks) if look is not None]
        if not kept:
            raise DatasetError(
                f"None of {len(extraction.ok):,} images could be read.",
                hint="featx inspect says why.",
            )
        rows = [rows[i] for i in kept]
        return cls(
            ids=[row.id for row in rows],
            X=extraction.X[kept],
            hashes=np.asarray(extraction.hashes[extraction.ok][kept]),
            labels=[row.label for row in rows],
            groups=[row.group for row in rows],
            splits=[row.split for row in rows],
            looks=[look for look in looks if look is not None],
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def copies(self) -> IntArray:
        """Images with the same number are exact copies; see `featx.data.copies.copy_codes`."""
        pixels = np.frombuffer(b"".join(look.pixel_hash for look in self.looks), np.uint8)
        return copy_codes(self.hashes, pixels.reshape(len(self), -1), [self.X])

    @cached_property
    def equal(self) -> list[EqualImages]:
        """The sets of exact copies."""
        return equal_sets(self.copies, self.hashes, self.labels, self.splits)

    @cached_property
    def group_codes(self) -> IntArray:
        """Images with the same number are of one group; those without are alone."""
        return number_groups(self.groups)

    @cached_property
    def classes(self) -> list[str]:
        """Labels that there are, sorted."""
        return sorted({label for label in self.labels if label is not None})

    @cached_property
    def labelled(self) -> IntArray:
        """Rows that have a label."""
        return np.array([i for i, y in enumerate(self.labels) if y is not None], dtype=np.int64)

    @cached_property
    def y(self) -> IntArray:
        """Classes of the labelled rows, as places in ``classes``."""
        numbers = {label: number for number, label in enumerate(self.classes)}
        return np.array([numbers[str(self.labels[i])] for i in self.labelled], dtype=np.int64)
