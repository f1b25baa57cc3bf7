"""Copies: equal images, and those that are one picture resized, recompressed, cut or turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx.auditing.neighbours import nearest
from featx.auditing.registration import (
    EdgeComparison,
    compare,
    detail,
    low_frequencies,
    orientations,
)
from featx.auditing.series import Series
from featx.data.splits import link_components
from featx.types import BoolArray, Float32Array, IntArray, UInt8Array

SIMILARITY = 0.6  # what neighbours in the embedding must share
LOW_SIMILARITY = 0.8  # of low frequencies, in the best of eight orientations
_CANDIDATES = 5  # by low frequencies, an image
#: Difference in the worst place up to which two images are one: docs/audit.md shows what it finds.
SAME = 0.05
STRICT = 0.02  # of one series, as the next slice of a body differs little; and without detail
NEIGHBOURLY = 0.9  # correlation of edges from which neighbours by name are of one series
DETAIL = 0.1  # share of the energy of edges in the finer half of the small picture


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
    difference : float
        The largest that joined it; 0 where all are exact.
    """

    rows: tuple[int, ...]
    exact: bool
    similarity: float
    difference: float = 0.0


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


def find_copies(
    copies: IntArray,
    grey: UInt8Array,
    Z: Float32Array,
    neighbours: IntArray,
    similarities: Float32Array,
    series: Series,
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
    series : Series
        From `featx.auditing.series.named_series`.
    """
    _, first, inverse = np.unique(copies, return_index=True, return_inverse=True)
    named = _distinct(first[inverse][series.neighbours])
    pairs = _candidates(np.sort(first), grey, Z, neighbours, similarities, named)
    alike = compare(grey, pairs)
    next_to = np.isin(_numbers(pairs, len(copies)), _numbers(named, len(copies)))
    following = next_to | (series.codes[pairs[:, 0]] == series.codes[pairs[:, 1]])
    blurred = _without_detail(grey, pairs, alike.difference <= SAME)
    same = alike.difference <= np.where(following | blurred, STRICT, SAME)
    sets = _joined(copies, pairs, alike, same)
    one = link_components(copies, pairs=pairs[same])
    apart = one[pairs[:, 0]] != one[pairs[:, 1]]
    next_to &= (alike.similarity >= NEIGHBOURLY) & apart
    return AlikeSets(sets, _joined(np.arange(len(copies)), pairs, alike, next_to))


def _without_detail(grey: UInt8Array, pairs: IntArray, asked: BoolArray) -> BoolArray:
    """Which of the pairs that are asked for have an image without detail.

    Small pictures that were enlarged are such: two drawings of a digit agree in all there is.
    """
    found = np.zeros(len(pairs), dtype=bool)
    used, codes = np.unique(pairs[asked], return_inverse=True)
    found[asked] = (detail(grey[used]) < DETAIL)[codes.reshape(-1, 2)].any(axis=1)
    return found


def _joined(
    codes: IntArray, pairs: IntArray, alike: EdgeComparison, chosen: BoolArray
) -> list[CopySet]:
    """Sets of two or more rows that codes or the chosen pairs link."""
    pairs = pairs[chosen]
    weakest, furthest = np.ones(len(codes)), np.zeros(len(codes))
    np.minimum.at(weakest, pairs, alike.similarity[chosen, None])
    np.maximum.at(furthest, pairs, alike.difference[chosen, None])
    components = link_components(codes, pairs=pairs)
    order = np.argsort(components, kind="stable")
    starts = np.flatnonzero(np.diff(components[order], prepend=-1))
    sets = []
    for rows in np.split(order, starts[1:]):
        if len(rows) > 1:
            exact = len(np.unique(codes[rows])) == 1
            values = float(weakest[rows].min()), float(furthest[rows].max())
            sets.append(CopySet(tuple(rows.tolist()), exact, *values))
    return sets


def copy_components(n: int, sets: Sequence[CopySet]) -> IntArray:
    """A number for each of ``n`` images that those of one set share."""
    codes = np.arange(n, dtype=np.int64)
    for found in sets:
        codes[list(found.rows)] = found.rows[0]
    return codes


def _candidates(
    first: IntArray,
    grey: UInt8Array,
    Z: Float32Array,
    neighbours: IntArray,
    similarities: Float32Array,
    named: IntArray,
) -> IntArray:
    """Pairs worth laying over each other, of images that all differ."""
    low = low_frequencies(grey[first])
    turned = [each.reshape(len(first), -1) for each in orientations(low)]
    near, cosines = nearest(turned[0], _CANDIDATES, turned)
    a, b = np.nonzero(similarities >= SIMILARITY)
    c, d = np.nonzero(cosines >= LOW_SIMILARITY)
    found = [np.stack([a, neighbours[a, b]], axis=1), named, first[np.stack([c, near[c, d]], 1)]]
    pairs = np.concatenate(found)
    return _distinct(pairs[np.isin(pairs, first).all(axis=1)])


def _distinct(pairs: IntArray) -> IntArray:
    """Each pair of two rows once, the smaller row first."""
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    return pairs[pairs[:, 0] != pairs[:, 1]]


def _numbers(pairs: IntArray, n: int) -> IntArray:
    """One number for each pair of rows below ``n``."""
    return np.asarray(pairs[:, 0] * n + pairs[:, 1])
