"""What an audit starts from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from featx.auditing.looking import Look
from featx.data.copies import EqualImages, copy_codes, equal_sets

__all__ = ["AuditData"]


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
    X: NDArray[np.float32]
    hashes: NDArray[np.uint8]
    labels: list[str | None]
    groups: list[str | None]
    splits: list[str | None]
    looks: list[Look]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def copies(self) -> NDArray[np.int64]:
        """Images with the same number are exact copies; see `featx.data.copies.copy_codes`."""
        pixels = np.frombuffer(b"".join(look.pixel_hash for look in self.looks), np.uint8)
        return copy_codes(self.hashes, pixels.reshape(len(self), -1), [self.X])

    @cached_property
    def equal(self) -> list[EqualImages]:
        """The sets of exact copies."""
        return equal_sets(self.copies, self.hashes, self.labels, self.splits)

    @cached_property
    def group_codes(self) -> NDArray[np.int64]:
        """Images with the same number are of one group; those without are alone."""
        names = [f"i{i}" if g is None else f"g{g}" for i, g in enumerate(self.groups)]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return np.array([numbers[name] for name in names], dtype=np.int64)

    @cached_property
    def classes(self) -> list[str]:
        """Labels that there are, sorted."""
        return sorted({label for label in self.labels if label is not None})
