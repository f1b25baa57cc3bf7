"""Copies: equal images, and those that are one picture resized, recompressed, cut or turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featx.auditing.neighbours import close_codes
from featx.auditing.registration import compare, low_frequencies, upright
from featx.data.splits import link_components
from featx.types import BoolArray, IntArray

__all__ = ["AlikeSets", "CopySet", "copy_components", "find_copies", "perceptual_hash"]


HASH_BITS = 10  # of 63 that may differ
HASH_SIMILARITY = 0.3  # what images with close hashes must share in the embedding
SIMILARITY = 0.6  # what neighbours in the embedding must share
#: Difference in the worst place up to which two images are one: docs/audit.md shows what it finds.
SAME = 0.05
SAME_SERIES = 0.02  # of neighbours of a series: the next slice of a body differs little
NEIGHBOURLY = 0.9  # correlation of edges from which neighbours by name are of one series
_MOST_HASHED = 30  # pairs an image: plain backgrounds give many equal hashes


@dataclass(frozen=True)
class CopySet:
    """Images that are one picture, or neighbours of a series.

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


@dataclass(frozen=True)
class AlikeSets:
    """What was found alike.

    Parameters
    ----------
    copies : list of CopySet
        Images that are one picture, joined through any number of others.
    series : list of CopySet
        Neighbours of a series that look alike and are not one picture, joined likewise.
    """

    copies: list[CopySet]
    series: list[CopySet]


def perceptual_hash(low: NDArray[np.float32]) -> BoolArray:
    """Signs of low frequencies, shape (n, 63).

    Each coefficient from `featx.auditing.registration.low_frequencies` but the mean, above or below
    their median (Zauner, "Implementation and benchmarking of perceptual image hash functions",
    2010).
    """
    flat = low.reshape(len(low), -1)[:, 1:]
    return np.asarray(flat > np.median(flat, axis=1, keepdims=True))


def find_copies(
    copies: IntArray,
    grey: NDArray[np.uint8],
    Z: NDArray[np.float32],
    neighbours: IntArray,
    similarities: NDArray[np.float32],
    in_series: IntArray,
) -> AlikeSets:
    """Sets of images that are one picture, and of neighbours in a series that are not.

    Parameters
    ----------
    copies : ndarray of shape (n,), int64
        Images with the same number are exact copies.
    grey : ndarray of shape (n, side, side), uint8
    Z : ndarray of shape (n, n_features), float32
        From `featx.auditing.neighbours.standardise`.
    neighbours, similarities : ndarrays of shape (n, k)
        From `featx.auditing.neighbours.nearest`.
    in_series : ndarray of shape (n_pairs, 2), int64
        From `featx.auditing.series.series_neighbours`.
    """
    _, first, inverse = np.unique(copies, return_index=True, return_inverse=True)
    named = _distinct(first[inverse][in_series])
    pairs = _candidates(np.sort(first), grey, Z, neighbours, similarities, named)
    alike = compare(grey, pairs)
    next_to = np.isin(_numbers(pairs, len(copies)), _numbers(named, len(copies)))
    same = alike.difference <= np.where(next_to, SAME_SERIES, SAME)
    sets = _joined(copies, pairs[same], alike.similarity[same])
    one = link_components(copies, pairs=pairs[same])
    series = next_to & (alike.similarity >= NEIGHBOURLY) & (one[pairs[:, 0]] != one[pairs[:, 1]])
    alone = np.arange(len(copies))
    return AlikeSets(sets, _joined(alone, pairs[series], alike.similarity[series]))


def _joined(codes: IntArray, pairs: IntArray, similarity: NDArray[np.float32]) -> list[CopySet]:
    """Sets of two or more rows that codes or pairs link."""
    weakest = np.ones(len(codes))
    np.minimum.at(weakest, pairs, similarity[:, None])
    components = link_components(codes, pairs=pairs)
    order = np.argsort(components, kind="stable")
    starts = np.flatnonzero(np.diff(components[order], prepend=-1))
    sets = []
    for rows in np.split(order, starts[1:]):
        if len(rows) > 1:
            exact = len(np.unique(codes[rows])) == 1
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
    named: IntArray,
) -> IntArray:
    """Pairs worth laying over each other, of images that all differ."""
    a, b = np.nonzero(similarities >= SIMILARITY)
    found = [np.stack([a, neighbours[a, b]], axis=1), named]
    low = low_frequencies(grey[first])
    for oriented in (low, upright(low)):
        hashed = first[close_codes(perceptual_hash(oriented), HASH_BITS)]
        cosine = np.einsum("ij,ij->i", Z[hashed[:, 0]], Z[hashed[:, 1]])
        best = np.argsort(-cosine, kind="stable")[: _MOST_HASHED * len(first)]
        found.append(hashed[best[cosine[best] >= HASH_SIMILARITY]])
    pairs = np.concatenate(found)
    return _distinct(pairs[np.isin(pairs, first).all(axis=1)])


def _distinct(pairs: IntArray) -> IntArray:
    """Each pair of two rows once, the smaller row first."""
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    return pairs[pairs[:, 0] != pairs[:, 1]]


def _numbers(pairs: IntArray, n: int) -> IntArray:
    """One number for each pair of rows below ``n``."""
    return np.asarray(pairs[:, 0] * n + pairs[:, 1])
