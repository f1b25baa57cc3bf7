"""Nested random subsets of images that keep groups whole and classes in proportion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx.types import FloatArray, IntArray


@dataclass(frozen=True)
class Joining:
    """An order in which images join; every subset holds the ones before it.

    Parameters
    ----------
    images : ndarray of shape (n,), int64
        Indices of the images, those of one component one after the other.
    ends : ndarray of shape (n_components,), int64
        How many images there are once each component has joined.
    least : int
        Images of the smallest subset that holds every class.
    """

    images: IntArray
    ends: IntArray
    least: int

    def subset(self, size: int) -> IntArray:
        """Indices, ascending, of the subset whose number of images is nearest to ``size``.

        No component is cut, and no class that the images have is missing: with groups, or many
        classes, the subset may hold fewer or more images than asked for.
        """
        ends = self.ends[self.ends >= self.least]
        n = int(ends[np.argmin(np.abs(ends - size))])
        return np.sort(self.images[:n])


def joining_order(y: IntArray, components: IntArray, *, seed: int) -> Joining:
    """Draw an order of components such that every beginning has the classes in proportion.

    Components are shuffled within strata (those whose commonest class is the same) and joined
    so that all strata are used up at the same pace. Before all others comes, for every class,
    the first component that holds it: small subsets hold more of a rare class than its share,
    rather than none of it.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        Class of each image.
    components : ndarray of shape (n,), int64
        What must stay together; see `featx.data.splits.link_components`. Any numbers.
    seed : int
    """
    own, component = np.unique(components, return_inverse=True)
    classes, label = np.unique(y, return_inverse=True)
    table = np.zeros((len(own), len(classes)), dtype=np.int64)
    np.add.at(table, (component, label), 1)
    sizes = table.sum(axis=1)
    ranked = np.argsort(_paces(table.argmax(axis=1), sizes, seed), kind="stable")
    first = (table[ranked] > 0).argmax(axis=0)  # of each class, in the order of joining
    front = np.zeros(len(own), dtype=bool)
    front[first] = True
    order = np.concatenate([ranked[front], ranked[~front]])
    place = np.empty(len(own), dtype=np.int64)
    place[order] = np.arange(len(own))
    return Joining(
        images=np.argsort(place[component], kind="stable"),
        ends=np.cumsum(sizes[order]),
        least=int(sizes[ranked[front]].sum()),
    )


def _paces(stratum: IntArray, sizes: IntArray, seed: int) -> FloatArray:
    """The share of all images at which each component joins, in (0, 1)."""
    rng = np.random.default_rng(seed)
    paces = np.empty(len(stratum))
    for value in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == value))
        before = np.cumsum(sizes[members]) - sizes[members]
        # A random place within its own share: else the first of every stratum would come first.
        at = before + rng.random(len(members)) * sizes[members]
        paces[members] = at / sizes[members].sum()
    return paces
