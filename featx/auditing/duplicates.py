"""Copies: equal images, and those that are one picture resized, recompressed or cut a little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from featx.auditing.neighbours import close_codes
from featx.auditing.registration import aligned_similarity
from featx.data.splits import link_components
from featx.types import BoolArray, FloatArray, IntArray

__all__ = ["CopySet", "copy_components", "find_copies", "perceptual_hash"]


HASH_BITS = 10  # of 63 that may differ
HASH_SIMILARITY = 0.3  # what images with close hashes must share in the embedding
SIMILARITY = 0.6  # what neighbours in the embedding must share
#: Correlation of aligned edges from which two images are one: docs/audit.md shows what it finds.
SAME = 0.95
EMPTY = 0.2  # share of pixels that are not background, below which edges alone prove little:
SAME_EMPTY = 0.98  # the outlines of two animals are much alike. There the edges must agree more,
SIMILARITY_EMPTY = 0.9  # or the embeddings too
_AWAY = 12  # grey levels from the median, at least, of pixels that are not background
_MOST_HASHED = 30  # pairs an image: plain backgrounds give many equal hashes


@dataclass(frozen=True)
class CopySet:
    """Images that are one picture.

    Parameters
    ----------
    rows : tuple of int
        Two or more, in order.
    exact : bool
        All are exact copies, with equal files or equal pixels.
    similarity : float
        The smallest that joined the set; 1 where all are exact.
    """

    rows: tuple[int, ...]
    exact: bool
    similarity: float


def perceptual_hash(grey: NDArray[np.uint8]) -> BoolArray:
    """Signs of the lowest frequencies, shape (n, 63).

    The 8 × 8 lowest coefficients of the cosine transform without the mean, each above or below
    their median (Zauner, "Implementation and benchmarking of perceptual image hash functions",
    2010).
    """
    n, side, _ = grey.shape
    halves = grey.reshape(n, side // 2, 2, side // 2, 2).astype(np.float32).mean(axis=(2, 4))
    low = dctn(halves, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(n, 64)[:, 1:]
    return np.asarray(low > np.median(low, axis=1, keepdims=True))


def filled_share(grey: NDArray[np.uint8]) -> FloatArray:
    """Share of the pixels of each image, (n, side, side), that are not about its median grey."""
    middle = np.median(grey, axis=(1, 2), keepdims=True)
    return np.asarray((np.abs(grey - middle) > _AWAY).mean(axis=(1, 2)))


def find_copies(
    copies: IntArray,
    grey: NDArray[np.uint8],
    Z: NDArray[np.float32],
    neighbours: IntArray,
    similarities: NDArray[np.float32],
) -> list[CopySet]:
    """Sets of images that are one picture, joined through any number of others.

    Parameters
    ----------
    copies : ndarray of shape (n,), int64
        Images with the same number are exact copies.
    grey : ndarray of shape (n, side, side), uint8
    Z : ndarray of shape (n, n_features), float32
        From `featx.auditing.neighbours.standardise`.
    neighbours, similarities : ndarrays of shape (n, k)
        From `featx.auditing.neighbours.nearest`.
    """
    n = len(copies)
    _, first = np.unique(copies, return_index=True)
    pairs = _candidates(np.sort(first), grey, Z, neighbours, similarities)
    alike = aligned_similarity(grey, pairs)
    filled = np.zeros(n, bool)
    involved = np.unique(pairs)
    if len(involved):
        filled[involved] = filled_share(grey[involved]) >= EMPTY
    full = filled[pairs].all(axis=1)
    cosine = np.einsum("ij,ij->i", Z[pairs[:, 0]], Z[pairs[:, 1]])
    same = (alike >= SAME) & (full | (alike >= SAME_EMPTY) | (cosine >= SIMILARITY_EMPTY))
    pairs, alike = pairs[same], alike[same]
    weakest = np.ones(n)
    for (a, b), value in zip(pairs.tolist(), alike.tolist(), strict=True):
        weakest[[a, b]] = np.minimum(weakest[[a, b]], value)
    components = link_components(copies, pairs=pairs)
    order = np.argsort(components, kind="stable")
    starts = np.flatnonzero(np.diff(components[order], prepend=-1))
    sets = []
    for rows in np.split(order, starts[1:]):
        if len(rows) > 1:
            exact = len(np.unique(copies[rows])) == 1
            sets.append(CopySet(tuple(rows.tolist()), exact, float(weakest[rows].min())))
    return sets


def copy_components(n: int, sets: Sequence[CopySet]) -> IntArray:
    """A number for each of ``n`` images that those of one set share."""
    codes = np.arange(n, dtype=np.int64)
    for found in sets:
        codes[list(found.rows)] = found.rows[0]
    return codes


def _candidates(
    first: IntArray,
    grey: NDArray[np.uint8],
    Z: NDArray[np.float32],
    neighbours: IntArray,
    similarities: NDArray[np.float32],
) -> IntArray:
    """Pairs worth laying over each other, of images that all differ."""
    a, b = np.nonzero(similarities >= SIMILARITY)
    near = np.stack([a, neighbours[a, b]], axis=1)
    hashed = first[close_codes(perceptual_hash(grey[first]), HASH_BITS)]
    cosine = np.einsum("ij,ij->i", Z[hashed[:, 0]], Z[hashed[:, 1]])
    best = np.argsort(-cosine, kind="stable")[: _MOST_HASHED * len(first)]
    hashed = hashed[best[cosine[best] >= HASH_SIMILARITY]]
    pairs = np.sort(np.concatenate([near, hashed]), axis=1)
    pairs = pairs[np.isin(pairs, first).all(axis=1)]
    return np.unique(pairs, axis=0)
