"""Which images are copies of each other: the one definition that every stage counts by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from featx.console import counted
from featx.data.splits import hash_codes, link_components
from featx.types import BoolArray, Float32Array, IntArray, UInt8Array

#: Why images may come out alike, for messages where files of 16 bits are, or may be.
DARK = (
    "Files of 16 bits that use a small part of their range, such as 0 to 127 of 65,535, come out "
    "black."
)
_FEW = 4  # images of which nobody is surprised that most are alike


def copy_codes(
    hashes: UInt8Array,
    pixels: UInt8Array | None = None,
    embeddings: Iterable[Float32Array] = (),
) -> IntArray:
    """Number images so that copies of each other share a number.

    Copies are images with equal bytes or equal decoded pixels, directly or through others. Where
    the hash of an image's pixels is not known (rows of stores of format version 1), equal
    embeddings stand for it: equal pixels give them.

    Equal embeddings of images whose pixels are known to differ do not make copies: who is a copy
    of whom must not depend on the backbone, or runs could not be compared.

    Parameters
    ----------
    hashes : ndarray of shape (n, 32), uint8
        SHA-256 of each file.
    pixels : ndarray of shape (n, 16), uint8, optional
        From `featx.data.hashing.pixel_hash`; zeros where it is not known.
    embeddings : iterable of ndarray of shape (n, n_features)
        Read only where hashes of pixels are missing.

    Returns
    -------
    ndarray of shape (n,), int64
        From 0, in order of first appearance.
    """
    codes = [hash_codes(hashes)]
    if pixels is not None:
        known = np.asarray(pixels.any(axis=1), dtype=bool)
        codes.append(_apart(hash_codes(pixels), known))
        if not known.all():
            codes += [_standing_in(hash_codes(_as_bytes(X)), known) for X in embeddings]
    return link_components(*codes)


def _as_bytes(X: Float32Array) -> UInt8Array:
    return np.ascontiguousarray(X + np.float32(0)).view(np.uint8)  # -0 is 0


def _apart(codes: IntArray, shared: BoolArray) -> IntArray:
    """The codes, but a number of its own for each image that may share none."""
    return np.where(shared, codes, codes.max(initial=0) + 1 + np.arange(len(codes)))


def _standing_in(codes: IntArray, known: BoolArray) -> IntArray:
    """Codes of embeddings, but only of those that an image without a hash of pixels has."""
    return _apart(codes, np.isin(codes, codes[~known]))


def _shared(codes: IntArray) -> BoolArray:
    """Which images are copies of another one."""
    return np.asarray(np.bincount(codes)[codes] > 1, dtype=bool)


class _Counted(Protocol):
    """A set of copies, as far as sentences are about it."""

    @property
    def equal_files(self) -> bool: ...
    @property
    def across_classes(self) -> bool: ...
    @property
    def across_splits(self) -> bool: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class EqualImages:
    """Images that are copies of each other.

    Parameters
    ----------
    rows : tuple of int
        Two or more, in order.
    equal_files : bool
        All files are equal byte for byte; else pixels are, in files that differ.
    across_classes, across_splits : bool
        Whether they carry different labels, or lie in different splits. Images without a split
        count as training images.
    """

    rows: tuple[int, ...]
    equal_files: bool
    across_classes: bool
    across_splits: bool

    def __len__(self) -> int:
        return len(self.rows)


def equal_sets(
    codes: IntArray,
    hashes: UInt8Array,
    labels: Sequence[str | None],
    splits: Sequence[str | None],
) -> list[EqualImages]:
    """Every set of copies: those across splits first, then across classes.

    Parameters
    ----------
    codes : ndarray of shape (n,), int64
        From `copy_codes`.
    hashes : ndarray of shape (n, 32), uint8
    labels, splits : sequence of str or None
    """
    files = hash_codes(hashes)
    order = np.argsort(codes, kind="stable")
    order = order[_shared(codes)[order]]
    sets = []
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        if len(rows):
            found = EqualImages(
                tuple(rows.tolist()),
                equal_files=len(np.unique(files[rows])) == 1,
                across_classes=len({labels[i] for i in rows} - {None}) > 1,
                across_splits=len({splits[i] or "train" for i in rows}) > 1,
            )
            sets.append(found)
    return sorted(sets, key=lambda s: (not s.across_splits, not s.across_classes, s.rows))


def copies_document(sets: Sequence[_Counted]) -> dict[str, int]:
    """The sets in numbers, as JSON."""
    files = sum(s.equal_files for s in sets)
    return {
        "sets": len(sets),
        "images": sum(len(s) for s in sets),
        "equal_files": files,
        "equal_pixels": len(sets) - files,
        "within": sum(not s.across_classes and not s.across_splits for s in sets),
        "across_classes": sum(s.across_classes for s in sets),
        "across_splits": sum(s.across_splits for s in sets),
    }


def copies_sentence(sets: Sequence[_Counted], *, rows: bool = False) -> str:
    """The sets in numbers.

    The same words in inspect, audit and fit. Of ``rows`` of numbers there are no files.
    """
    if not sets:
        return "Exact copies: none"
    n = copies_document(sets)
    what = counted(n["sets"], "set")
    found = f"Equal rows: {what} ({n['images']:,} rows)"
    if not rows:
        found = (
            f"Exact copies: {what} ({n['images']:,} images), {n['equal_files']:,} of equal files "
            f"and {n['equal_pixels']:,} of equal pixels in other files"
        )
    return (
        f"{found}; {n['within']:,} within one class and split, {n['across_classes']:,} across "
        f"classes, {n['across_splits']:,} across splits"
    )


def alike_sentence(codes: IntArray, what: str = "images") -> str | None:
    """What to say where all images, or more than half of them, are one picture; else None."""
    n = len(codes)
    most = int(np.bincount(codes).max(initial=0))
    if n < _FEW or 2 * most <= n:
        return None
    which = f"All {n:,} {what}" if most == n else f"{most:,} of {n:,} {what}"
    return f"{which} come out alike, with equal pixels once decoded."


def embeddings_alike(X: Float32Array) -> bool:
    """Whether all rows are equal but for rounding."""
    spread = X.max(axis=0) - X.min(axis=0)
    return bool(spread.max() <= 1e-6 * np.abs(X).max())
