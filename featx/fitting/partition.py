"""The images of a search and the folds that they are tested in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx.data.splits import Folds, count_classes, make_folds
from featx.errors import FitError
from featx.fitting.data import Part
from featx.types import BoolArray, IntArray

FoldSet = tuple[int, ...]  # folds that are held out of training together
Test = tuple[FoldSet, int]  # and which of them is tested


@dataclass(frozen=True, eq=False)
class Partition:
    """Images, each of which is tested in one fold."""

    part: Part
    folds: Folds

    @classmethod
    def of(cls, part: Part, *, n_folds: int, seed: int) -> Partition:
        """Stratified folds that keep groups and exact copies whole; see `make_folds`."""
        folds = make_folds(part.y, part.components, part.classes, n_folds=n_folds, seed=seed)
        return cls(part, folds)

    @property
    def n_folds(self) -> int:
        """How many folds there are."""
        return self.folds.n_folds

    @property
    def fold(self) -> IntArray:
        """The fold of each image."""
        return self.folds.fold

    @property
    def single(self) -> list[FoldSet]:
        """Each fold held out alone."""
        return [(i,) for i in range(self.n_folds)]

    @property
    def pairs(self) -> list[FoldSet]:
        """Every two folds held out together."""
        return [(i, j) for i in range(self.n_folds) for j in range(i + 1, self.n_folds)]

    @property
    def tests(self) -> list[Test]:
        """Each fold held out alone and tested."""
        return [((i,), i) for i in range(self.n_folds)]

    def tests_without(self, outer: int) -> list[Test]:
        """Each other fold tested, held out together with ``outer``."""
        inner = (j for j in range(self.n_folds) if j != outer)
        return [((min(outer, j), max(outer, j)), j) for j in inner]

    def training(self, left_out: FoldSet) -> BoolArray:
        """Images to train on while these folds are held out, as a mask."""
        return ~np.isin(self.fold, left_out)

    def y(self, fold: int) -> IntArray:
        """Classes of the images of one fold."""
        return self.part.y[self.fold == fold]

    def check(self, fold_sets: list[FoldSet]) -> None:
        """Refuse training parts of one class.

        Raises
        ------
        FitError
            Some training part has images of one class only.
        """
        for left_out in fold_sets:
            y = self.part.y[self.training(left_out)]
            if len(np.unique(y)) < 2:
                raise FitError(
                    f"While fold {', '.join(map(str, left_out))} is held out, training images "
                    f"are of one class only: {count_classes(y, self.part.classes) or 'none'}.",
                    hint="Groups and classes coincide: add groups that hold several classes.",
                )

    def share(self, share: float, *, seed: int) -> Partition:
        """A share of the images, which stay in their folds; larger shares hold smaller ones."""
        rows = take_share(self.part.y, self.part.components, self.fold, share=share, seed=seed)
        return Partition(self.part.take(rows), Folds(self.fold[rows], self.n_folds))


def take_share(
    y: IntArray, components: IntArray, fold: IntArray, *, share: float, seed: int
) -> BoolArray:
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
    # the most frequent class of each component comes first among its pairs
    order = np.lexsort((-counts, of_pair))
    known, first = np.unique(of_pair[order], return_index=True)
    label = pairs[order][first] % n_classes
    fold_of = np.zeros(int(known.max()) + 1, np.int64)
    fold_of[components] = fold
    cell = fold_of[known] * n_classes + label

    # one order for every share, so that larger shares hold the smaller ones
    shuffled = np.random.default_rng(seed).permutation(len(known))
    by_cell = shuffled[np.argsort(cell[shuffled], kind="stable")]
    _, start, size = np.unique(cell[by_cell], return_index=True, return_counts=True)
    rank = np.arange(len(known)) - np.repeat(start, size)
    # less a little: rounding must not add a component to a share that is a whole number of them
    taken = rank < np.repeat(np.ceil(size * share - 1e-9), size)
    return np.isin(components, known[by_cell[taken]])
