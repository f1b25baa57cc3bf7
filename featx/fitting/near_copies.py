"""Held-out images that have a nearly identical training image: resized, recompressed, a burst."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from featx import console
from featx.fitting.data import Part
from featx.fitting.held import HeldOut
from featx.runs.estimates import NearCopies
from featx.types import BoolArray, Float32Array, FloatArray, IntArray

#: Cosine of standardised embeddings from which two images are nearly identical: docs/fit.md shows
#: what it finds.
NEAR = 0.95
#: 1 - cosine of the image to those of that class on the average, from which an image counts:
#: in a class whose images all look alike, neighbours are near without being copies.
APART = 0.25
NOTED_SHARE, NOTED_IMAGES = 0.05, 5  # of the images looked at, from which a note is made
MOST_PRODUCTS = 2e10  # multiplications: a second or so of one core
FEWEST = 200  # images that are looked at all the same
FEWEST_COLUMNS = 64  # of given rows: with fewer, some lie in nearly one direction by chance
_BLOCK_ROWS = 4096


def near_copy_notes(found: NearCopies, *, given: bool = False) -> list[str]:
    """One sentence, where there are enough to matter; ``given`` rows are no images to audit."""
    if found.near < max(NOTED_IMAGES, NOTED_SHARE * found.images):
        return []
    kind = "test images" if found.judged == "test" else "held-out images"
    right = ""
    if found.accuracy_near is not None and found.accuracy_others is not None:
        right = (
            f" The model is right on {100 * found.accuracy_near:.0f} % of these and on "
            f"{100 * found.accuracy_others:.0f} % of the others."
        )
    said = (
        f"Near copies: {found.near:,} of {found.images:,} {kind} have a nearly identical "
        f"training image.{right}"
    )
    return [said if given else f"{said} featx audit lists them."]


@console.stage("Looking for near copies")
def near_copies_of(
    part: Part, held: HeldOut, backbones: tuple[str, ...], *, seed: int
) -> NearCopies:
    """How many evaluation images are nearly in training, and what that does to the estimate.

    Of many images some are drawn by the seed.

    Parameters
    ----------
    part : Part
        The images that were trained on, in turn or all.
    held : HeldOut
        What the estimate is from.
    backbones : tuple of str
        Whose embeddings to look at.
    seed : int
    """
    known = part.embeddings(backbones)
    if part.given and known.shape[1] < FEWEST_COLUMNS:
        return NearCopies(
            judged=held.split, images=0, near=0, accuracy_near=None, accuracy_others=None
        )
    apart = held.split in {"test", "holdout"}
    rows = np.arange(len(held.part)) if held.rows is None else np.flatnonzero(held.rows)
    held = held.whole or held
    asked = held.part.embeddings(backbones) if apart else known
    # an image is not compared with those of its own fold: they were not trained on
    fold = np.full(len(part), -2) if apart else held.fold
    n = int(min(len(rows), max(FEWEST, MOST_PRODUCTS / max(1, known.size))))
    if n < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))
    near = _near(known, asked[rows], part, (fold, held.fold[rows]))
    right = (held.y_pred == held.part.y)[rows]
    return NearCopies(
        judged=held.split,
        images=n,
        near=int(near.sum()),
        accuracy_near=_share(right[near]),
        accuracy_others=_share(right[~near]),
    )


def _share(right: BoolArray) -> float | None:
    return float(right.mean()) if len(right) else None


def _near(
    known: Float32Array, asked: Float32Array, training: Part, folds: tuple[IntArray, IntArray]
) -> BoolArray:
    mean, spread = _moments(known)
    Q = _standardised(asked, mean, spread)
    # the training images come in blocks: all products at once would not fit into memory
    best = np.full(len(Q), -1.0, np.float32)
    label = np.zeros(len(Q), np.int64)
    means = np.zeros((len(training.classes), known.shape[1]), np.float32)
    for block in _blocks(len(known)):
        Z = _standardised(known[block], mean, spread)
        np.add.at(means, training.y[block], Z)
        products = Q @ Z.T
        products[folds[1][:, None] == folds[0][block]] = -1  # not trained on together with it
        at = products.argmax(axis=1)
        value = products[np.arange(len(Q)), at]
        nearer = value > best
        best[nearer], label[nearer] = value[nearer], training.y[block][at[nearer]]
    means /= np.maximum(np.bincount(training.y, minlength=len(means)), 1)[:, None]
    usual = 1 - np.einsum("ij,ij->i", Q, means[label])
    return np.asarray((best >= NEAR) & (usual >= APART))


def _blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, _BLOCK_ROWS):
        yield slice(start, min(start + _BLOCK_ROWS, n))


def _moments(X: Float32Array) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each column, without a copy of all."""
    mean = X.mean(axis=0, dtype=np.float64)
    # two passes: the difference of large sums would lose the digits of small variances
    variance = np.zeros_like(mean)
    for block in _blocks(len(X)):
        variance += ((X[block] - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(variance / len(X))


def _standardised(X: Float32Array, mean: FloatArray, spread: FloatArray) -> Float32Array:
    """Columns by these moments, rows of length 1."""
    Z = (X - mean) / np.where(spread > 1e-6, spread, np.inf)
    return np.asarray(
        Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-12), dtype=np.float32
    )
