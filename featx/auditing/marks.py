"""Marks burnt into the pictures of one class: the same pixels at the same place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx.auditing.looking import CORNERS, Look
from featx.data.splits import Folds
from featx.types import BoolArray, Float32Array, FloatArray, IntArray, UInt8Array

_FEWEST = 8  # training images of a class, for it to have a mark
_FEWEST_PIXELS = 6
_EDGE = 15  # grey levels between neighbours: plain ground is no mark
_STEADY, _STEADIER = 30, 8  # standard and median absolute deviation of a mark's pixels
_ELSEWHERE = 24  # grey levels that the other classes are away from it
_HALFWAY = 8.0  # grey levels off at which an image is as likely as not to have the mark
_WHOLE = "the whole picture"


def mark_scores(
    looks: Sequence[Look], y: IntArray, n_classes: int, folds: Folds
) -> tuple[FloatArray, list[str]]:
    """How well each image shows the mark of each class, found in the other folds.

    A mark is pixels along an edge that are equal in nearly all pictures of a class and other
    elsewhere: content is never so steady. It is looked for in the four corners at their own scale,
    and in the picture as a whole in small.

    Returns
    -------
    scores : ndarray of shape (n, n_classes)
        In [0, 1]; 1 / n_classes for a class without a mark.
    places : list of str
        Where the mark of each class is; empty without one.
    """
    patches = [np.stack([look.corners for look in looks]), np.stack([look.grey for look in looks])]
    flat = [patch.reshape(len(looks), -1) for patch in patches]
    scores = np.full((len(looks), n_classes), 1 / n_classes)
    places = [""] * n_classes
    for fold in range(folds.n_folds):
        tested = folds.fold == fold
        for c in range(n_classes):
            of_class, others = (~tested & (y == c)).nonzero()[0], (~tested & (y != c)).nonzero()[0]
            if len(of_class) < _FEWEST or not len(others):
                continue
            found = [_mark(f, p.shape[1:], of_class, others)
                     for f, p in zip(flat, patches, strict=True)]  # fmt: skip
            if not any(len(pixels) for pixels, _ in found):
                continue
            best = int(not len(found[0][0]))
            pixels, values = found[best]
            away = np.abs(flat[best][tested][:, pixels] - values).mean(axis=1)
            scores[tested, c] = 1 / (1 + (away / _HALFWAY) ** 2)
            corner = int(np.bincount(pixels * 4 // flat[0].shape[1], minlength=4).argmax())
            places[c] = _WHOLE if best else f"the {CORNERS[corner]} corner"
    return scores, places


def _mark(
    flat: UInt8Array, shape: tuple[int, ...], of_class: IntArray, others: IntArray
) -> tuple[IntArray, FloatArray]:
    """Numbers of the mark's pixels and their grey values; none where there is no mark."""
    inside = flat[of_class].astype(np.float32)
    mean = inside.mean(axis=0)
    steady = inside.std(axis=0) <= _STEADY
    pixels = (steady & _edges(mean.reshape(shape)).ravel()).nonzero()[0]
    values = np.median(inside[:, pixels], axis=0)
    spread = np.median(np.abs(inside[:, pixels] - values), axis=0)
    elsewhere = np.median(np.abs(flat[others][:, pixels] - values), axis=0)
    kept = (spread <= _STEADIER) & (elsewhere >= _ELSEWHERE)
    if kept.sum() < _FEWEST_PIXELS:
        return np.empty(0, np.int64), np.empty(0)
    return pixels[kept].astype(np.int64), values[kept]


def _edges(mean: Float32Array) -> BoolArray:
    """Pixels beside a step of the mean picture, in either direction."""
    found = np.zeros(mean.shape, bool)
    for axis in (-2, -1):
        step = np.abs(np.diff(mean, axis=axis)) >= _EDGE
        before = [(0, 0)] * mean.ndim
        after = [(0, 0)] * mean.ndim
        before[axis], after[axis] = (1, 0), (0, 1)
        found |= np.pad(step, before) | np.pad(step, after)
    return found
