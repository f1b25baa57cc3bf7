"""The same search on a share of its images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featx.data.splits import Folds
from featx.fitting.search import FoldSearch, replace_folds

__all__ = ["smaller", "take_share"]

Int = NDArray[np.int64]


def smaller(search: FoldSearch, share: float) -> FoldSearch:
    """``search`` on a share of the images, which stay in their folds; made once.

    Larger shares hold the smaller ones.
    """
    if share not in search.smaller:
        part, folds = search.part, search.folds
        rows = take_share(part.y, part.components, folds.fold, share=share, seed=search.seed)
        fewer = replace_folds(search, part.take(rows), Folds(folds.fold[rows], folds.n_folds))
        fewer.elapsed_s = search.elapsed_s
        search.smaller[share] = fewer
    return search.smaller[share]


def take_share(y: Int, components: Int, fold: Int, *, share: float, seed: int) -> NDArray[np.bool_]:
    """Images to take, as a mask: a share of each class in each fold, and at least one.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        Class indices.
    components : ndarray of shape (n,), int64
        What must stay together; a component counts for the class that most of its images have.
    fold : ndarray of shape (n,), int64
    share : float
        In (0, 1].
    seed : int
    """
    n_classes = int(y.max()) + 1
    pairs, counts = np.unique(components * n_classes + y, return_counts=True)
    of_pair = pairs // n_classes
    order = np.lexsort((-counts, of_pair))
    known, first = np.unique(of_pair[order], return_index=True)
    label = pairs[order][first] % n_classes
    place = np.zeros(int(known.max()) + 1, np.int64)
    place[components] = fold
    cell = place[known] * n_classes + label

    shuffled = np.random.default_rng(seed).permutation(len(known))
    by_cell = shuffled[np.argsort(cell[shuffled], kind="stable")]
    _, start, size = np.unique(cell[by_cell], return_index=True, return_counts=True)
    rank = np.arange(len(known)) - np.repeat(start, size)
    taken = rank < np.repeat(np.ceil(size * share - 1e-9), size)
    return np.isin(components, known[by_cell[taken]])
