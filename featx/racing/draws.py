"""Which images each round of a race is on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from featx.data.subsets import joining_order
from featx.types import IntArray

FEWEST, FEW = 30, 50  # images of a round at least, and where there are enough
PER_CLASS = 1.3  # then also of each class, so that some have two
SHARED = 4  # of each class, where that leaves out classes
ENOUGH = 12  # times as many


def round_sizes(asked: Sequence[int], n: int, *, share: float, n_classes: int = 2) -> list[int]:
    """Images of each round, of at most a share of all ``n``.

    Where that is fewer than the last round asks for, all are smaller in proportion. None is
    smaller than 50 images and somewhat more than one of each class or, where that is more than a
    twelfth of all, than that twelfth, and never than 30: the first round is the only one that every
    forward pass is paid for in. Rounds of nearly equal size are one.

    >>> round_sizes([100, 300, 1000], 5000, share=0.5)
    [100, 300, 1000]
    >>> round_sizes([100, 300, 1000], 1500, share=0.5)
    [75, 225, 750]
    """
    most = max(1, math.floor(n * share))
    scale = min(1.0, most / max(asked))
    fewest = max(FEWEST, min(max(FEW, math.ceil(PER_CLASS * n_classes)), n // ENOUGH))
    sizes = [min(max(round(size * scale), fewest), most) for size in sorted(asked)]
    return [
        size for size, after in zip(sizes, [*sizes[1:], math.inf], strict=True)
        if after >= 1.5 * size
    ]  # fmt: skip


def round_rows(
    y: IntArray, groups: IntArray, sizes: Sequence[int], *, n_folds: int, seed: int
) -> list[IntArray]:
    """Rows of each round, each containing those of the one before; the last has groups whole.

    Classes are in proportion. A round that is too small to hold two of some classes is drawn from
    the commonest ones, about four images each. Where groups are so large that the first round would
    hold only a few, rounds before the last take images of all groups of the last.

    Parameters
    ----------
    y, groups : ndarray of shape (n,), int64
        Class and group of every image that may be drawn.
    sizes : sequence of int
        Images of each round, ascending.
    n_folds, seed : int
    """
    *first, most = sizes
    order = joining_order(y, groups, seed=seed)
    whole = order.subset(most)
    n_classes = len(np.unique(y))
    thinned = bool(first) and np.bincount(groups).max() > first[0] // n_folds
    rounds: list[IntArray] = []
    for size in first:
        if size < PER_CLASS * n_classes:
            rows = _of_commonest(y, whole, size, seed)
        elif thinned:
            alone = joining_order(y[whole], np.arange(len(whole)), seed=seed)
            rows = whole[alone.subset(size)]
        else:
            rows = order.subset(size)
        rounds.append(np.union1d(rows, rounds[-1]) if rounds else rows)
    return [*rounds, whole]


def _of_commonest(y: IntArray, whole: IntArray, size: int, seed: int) -> IntArray:
    """Some of the rows ``whole``, of as many of the commonest classes as have some each."""
    counts = np.bincount(y[whole])
    common = np.argsort(-counts, kind="stable")[: max(2, size // SHARED)]
    rows = whole[np.isin(y[whole], common)]
    return rows[joining_order(y[rows], np.arange(len(rows)), seed=seed).subset(size)]
