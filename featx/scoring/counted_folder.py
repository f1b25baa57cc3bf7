"""The images of a folder as they are counted: what is labelled, what is drawn, and each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from featx.errors import UsageError
from featx.scoring.audit_file import Audited
from featx.scoring.counting import CountedPart, part_of
from featx.stats.audits import Design, widened
from featx.stats.counting import Reference, count_classes, whole_counts
from featx.stats.raking import rake
from featx.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class CountedImages:
    """Images that could be read, and what a model predicts for them.

    Parameters
    ----------
    ids : list of str
    proba : ndarray of shape (n, n_classes)
        In [0, 1]; each row adds up to 1.
    y_pred : ndarray of shape (n,), int64
    blocks : ndarray of shape (n,), int64
        Images with the same number belong together.
    known : ndarray of shape (n,), int64
        Classes of images that were labelled before, which may be new ones; -1 for the others.
    """

    ids: list[str]
    proba: FloatArray
    y_pred: IntArray
    blocks: IntArray
    known: IntArray


class CountedFolder:
    """Draws of the counts of some images and of any part of them.

    Parameters
    ----------
    images : CountedImages
    classes : sequence of str
        Of the model, then those that are new.
    reference : Reference or None
        How the model errs, if that is known.
    size : int or None
        Images of the audit, as it is drawn or was drawn; None without one.
    audited : Audited or None
        The audit with its labels.
    seed : int
    """

    def __init__(
        self,
        images: CountedImages,
        classes: Sequence[str],
        reference: Reference | None,
        size: int | None,
        audited: Audited | None,
        seed: int,
    ) -> None:
        self.images, self.classes, self.reference, self.seed = images, classes, reference, seed
        self.n_known = images.proba.shape[1]
        self.free = np.flatnonzero(images.known < 0)
        self.content = images.proba
        everything = np.ones(len(images.ids), bool)
        self.draws = self._corrected(everything, keep=True)
        nothing = np.empty(0, np.int64)
        self.labelled = nothing, nothing  # rows of the free images, and their classes
        self.design = None if size is None else self._design(size)
        if audited is not None and self.design is not None:
            ids = [images.ids[i] for i in self.free.tolist()]
            self.labelled = audited.matched(ids, classes, self.design)
            self.design = self.design.widened(*self.labelled, len(classes))
            shares = self.design.forecast[0, self.n_known :]
            self.content = widened(self.content[:, : self.n_known], shares)
            self.draws = self._audited(everything)

    def _corrected(self, rows: BoolArray, *, keep: bool = False) -> IntArray:
        """Draws for some of the images, by how the model errs."""
        images, n = self.images, self.n_known
        new = rows & (images.known >= n)
        rows = rows & ~new
        fixed = np.bincount(images.known[new], minlength=len(self.classes))[None]
        if self.reference is None or not rows.any():
            labels = np.where(images.known < 0, images.y_pred, images.known)[rows]
            return fixed + np.bincount(labels, minlength=len(self.classes))
        sizes = np.bincount(images.blocks[rows])
        alike = float(((sizes / sizes.sum()) ** 2).sum())
        grouped = len(images.blocks) > len(np.unique(images.blocks))
        found = count_classes(
            self.reference, images.proba[rows], known=images.known[rows],
            alike=alike if grouped else None, seed=self.seed,
        )  # fmt: skip
        if keep:
            self.content = self.content.copy()
            self.content[rows] = found.content
        return fixed + np.pad(found.counts, ((0, 0), (0, len(self.classes) - n)))

    def _design(self, size: int) -> Design:
        """The sample, of the images that are not labelled yet."""
        if not len(self.free):
            raise UsageError("All images are labelled already: there is nothing to audit.")
        sure = self.images.proba[self.free].max(axis=1)
        cut = float(np.median(sure)) if self.reference is None else self.reference.cut
        y_pred = self.images.y_pred[self.free]
        return Design.of(self.content[self.free], y_pred, sure < cut, size, self.seed)

    def _audited(self, rows: BoolArray) -> IntArray:
        """Draws for some of the images, by the labels of the audit."""
        assert self.design is not None
        known = self.images.known[rows & (self.images.known >= 0)]
        fixed = np.bincount(known, minlength=len(self.classes))
        if rows.all():
            return fixed + self.design.count(*self.labelled, seed=self.seed)
        return fixed + self.design.count(
            *self.labelled,
            seed=self.seed,
            among=rows[self.free],
            content=self.content[self.free],
        )

    def parts(self, columns: Mapping[str, Sequence[str | None]]) -> list[CountedPart]:
        """The folder, then every value of each column; of a column they add up to the folder.

        Each value is counted by itself, and then fitted to the counts of the folder, whose images
        are more (raking). Images without a value are a part too, which is not returned.
        """
        n = len(self.images.ids)
        whole = whole_counts(self.draws.mean(axis=0), n)
        parts = [self._part("", "", np.ones(n, bool), self.draws, whole)]
        for name, values in columns.items():
            names, codes = _codes(values)
            rows = [codes == number for number in range(len(names))]
            shown = len(rows)
            if (codes < 0).any():
                rows.append(codes < 0)
            draws = [
                self._corrected(part) if not len(self.labelled[0]) else self._audited(part)
                for part in rows
            ]
            counts = self._agreeing(rows, draws, whole)
            parts += [
                self._part(name, names[i], rows[i], draws[i], counts[i]) for i in range(shown)
            ]
        return parts

    def _agreeing(
        self, rows: Sequence[BoolArray], draws: Sequence[IntArray], whole: IntArray
    ) -> IntArray:
        """Counts of parts that add up to those of the folder, none below what is labelled."""
        fixed = np.array([self._labels(part).sum(axis=0) for part in rows])
        means = np.array([each.mean(axis=0) for each in draws]) - fixed
        images = np.array([part.sum() for part in rows]) - fixed.sum(axis=1)
        return fixed + rake(means, images, whole - fixed.sum(axis=0))

    def _labels(self, rows: BoolArray) -> IntArray:
        """Labels of the classes among some of the images: in an audit, and known before."""
        drawn, y = self.labelled
        found = y[rows[self.free[drawn]]], self.images.known[rows & (self.images.known >= 0)]
        return np.array([np.bincount(codes, minlength=len(self.classes)) for codes in found])

    def _part(
        self, by: str, value: str, rows: BoolArray, draws: IntArray, counts: IntArray
    ) -> CountedPart:
        predicted = np.bincount(self.images.y_pred[rows], minlength=len(self.classes))
        return part_of(by, value, self.classes, predicted, draws, counts, *self._labels(rows))


def _codes(values: Sequence[str | None]) -> tuple[list[str], IntArray]:
    """Distinct values, sorted, and the number of each image's; -1 for none."""
    names = sorted({value for value in values if value})
    place = {name: i for i, name in enumerate(names)}
    return names, np.array([place.get(value or "", -1) for value in values], np.int64)
