"""Files that follow each other by name and are nearly the same picture: frames of a film."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx.data.name_parts import folders_of, natural_key
from featx.data.splits import link_components
from featx.types import Float32Array, FloatArray, IntArray

PERMUTATIONS = 99  # of the images of each class, whose neighbours must be less alike
PLACES = 2  # images on: one odd frame divides no run
NEARLY_SAME = 0.8  # similarity from which runs are left out of what chance is measured on
LEAST = 0.5  # similarity of a link
WRONG = 0.03  # share of the links that chance may explain
FEWEST = 0.02  # share of the images that have a link
_PRIOR = 20  # pairs of all classes that are added to those of each
_FAR = 20  # places in the order between images that chance is measured on
_PAIRS, _STEPS, _BLOCK = 20_000, 2000, 4096


def sequence_codes(
    ids: Sequence[str], y: IntArray, Z: Float32Array, low: Float32Array, *, seed: int
) -> IntArray | None:
    """Groups of images that a run of near-identical neighbours joins; None where there are none.

    Parameters
    ----------
    ids : sequence of str
    y : ndarray of shape (n,), int64
        Class of each image.
    Z : ndarray of shape (n, n_features), float32
        Embeddings of length 1.
    low : ndarray of shape (n, n_frequencies), float32
        Low frequencies of the pictures, of length 1.
    seed : int

    Notes
    -----
    Files are put in the order of their names, numbers counted as numbers, within folders or over
    all of them, whichever has more similar neighbours. The similarity of two images is the mean of
    the cosines of their embeddings and of their low frequencies, less that of usual pairs of the
    class. Neighbours are linked from the lowest similarity at which pairs of a class that are far
    apart in the order are so similar at most 3 % as often. Names that say nothing (UUIDs) put files
    at random, so that neighbours are no more alike than other pairs, and nothing is linked.
    """
    n = len(ids)
    if n <= _FAR:
        return None
    names = [(folders_of(id), natural_key(id)) for id in ids]
    by_folder, by_name = names, [(name, folders) for folders, name in names]
    orders = [np.array(sorted(range(n), key=k.__getitem__)) for k in (by_folder, by_name)]
    places = np.random.default_rng(seed).permutation(n - 1)[:_STEPS]

    def step(order: IntArray) -> float:
        return float(_similarity(Z, low, _neighbours(order, 1)[places]).mean())

    order = max(orders, key=step)
    draws = (np.random.default_rng((seed, k)) for k in range(PERMUTATIONS))
    observed = step(order)
    if any(step(_mixed(order, y, rng)) >= observed for rng in draws):
        return None
    pairs = _linked(order, y, Z, low, seed)
    if len(np.unique(pairs)) < FEWEST * n:
        return None
    return link_components(np.arange(n), pairs=pairs)


def _neighbours(order: IntArray, places: int) -> IntArray:
    """Pairs of images that are up to so many places apart in the order."""
    return np.concatenate([np.stack([order[:-k], order[k:]], 1) for k in range(1, places + 1)])


def _mixed(order: IntArray, y: IntArray, rng: np.random.Generator) -> IntArray:
    """The order with the images of each class at random in the places of this class."""
    found = order.copy()
    for places in np.split(np.argsort(y[order], kind="stable"), np.cumsum(np.bincount(y))[:-1]):
        found[places] = order[rng.permutation(places)]
    return found


def _linked(
    order: IntArray, y: IntArray, Z: Float32Array, low: Float32Array, seed: int
) -> IntArray:
    """Pairs of neighbours in this order that are more alike than chance makes them."""
    near = _neighbours(order, PLACES)
    alike = _similarity(Z, low, near)
    runs = link_components(np.arange(len(order)), pairs=near[alike >= NEARLY_SAME])
    far = _far_apart(order, y, runs, seed)
    if len(far) < 1 / WRONG:
        return near[:0]
    chance, of_class = _similarity(Z, low, far), y[far[:, 0]]
    # Two images of a class whose images are all alike must be more alike than those of another.
    n_classes = int(y.max()) + 1
    sums = np.bincount(of_class, chance, n_classes) + _PRIOR * chance.mean()
    usual = sums / (np.bincount(of_class, minlength=n_classes) + _PRIOR)
    by_chance = np.sort(chance - usual[of_class])
    beyond = alike - usual[y[near]].max(axis=1)
    limits = np.sort(beyond[alike >= LEAST])
    rate = 1 - np.searchsorted(by_chance, limits) / len(by_chance)
    linked = np.arange(len(limits), 0, -1) / len(alike)  # at each limit in turn, from the lowest
    enough = np.flatnonzero(rate <= WRONG * linked)
    return near[(beyond >= limits[enough[0]]) & (alike >= LEAST)] if len(enough) else near[:0]


def _far_apart(order: IntArray, y: IntArray, runs: IntArray, seed: int) -> IntArray:
    """Random pairs of one class, far from each other in the order and in no run together."""
    rng = np.random.default_rng(seed)
    by_class = np.argsort(y, kind="stable")
    counts = np.bincount(y)
    starts = np.cumsum(counts) - counts
    a = rng.integers(len(y), size=_PAIRS)
    b = by_class[starts[y[a]] + rng.integers(counts[y[a]])]
    place = np.argsort(order)
    apart = (np.abs(place[a] - place[b]) > _FAR) & (runs[a] != runs[b])
    return np.stack([a[apart], b[apart]], axis=1)


def _similarity(Z: Float32Array, low: Float32Array, pairs: IntArray) -> FloatArray:
    """Mean of the two cosines of each pair."""
    found = np.empty(len(pairs))
    for start in range(0, len(pairs), _BLOCK):
        a, b = pairs[start : start + _BLOCK].T
        cosines = [np.einsum("ij,ij->i", rows[a], rows[b]) for rows in (Z, low)]
        found[start : start + _BLOCK] = (cosines[0] + cosines[1]) / 2
    return found
