"""Which images to label next: some at random, the others where a label pays most.

A label pays most where the head is in doubt (the margin between its two likeliest classes is
small), where the image likely is of a class with few labels, and where no other image of the batch
is like it. The three are multiplied, on a shortlist. One in ten is chosen for being unlike anything
labelled, as a head is sure of itself far from all that it knows, and a new class lies there.
Before there are two classes the images nearest to the centres of clusters are chosen.

The margin is that of Scheffer, Decomain and Wrobel, "Active hidden Markov models for information
extraction", IDA 2001; to weigh it by diversity in the batch follows Ash et al., "Deep batch active
learning by diverse, uncertain gradient lower bounds", ICLR 2020; to start from clusters, Hacohen,
Dekel and Weinshall, "Active learning on a budget: opposite strategies suit high and low budgets",
ICML 2022. ``benchmarks/labelling.py`` compares the whole with drawing at random.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from featx.types import BoolArray, Float32Array, IntArray

Reason = Literal["doubt", "spread", "rare"]

SHORTLIST = 5  # candidates for each image that is chosen
STRANGE = 0.1  # share of a batch that is chosen for being unlike anything labelled
STRANGE_AMONG = 512  # the strangest of so many at random: the strangest of all are oddities
CLUSTER_ROWS, CLUSTER_ROUNDS = 2048, 10
SMALLEST = 1e-9


@dataclass(frozen=True)
class NextRows:
    """Rows to label and why."""

    rows: IntArray
    reasons: list[Reason]


@dataclass(frozen=True)
class Known:
    """What is known when images are chosen.

    Parameters
    ----------
    Z : ndarray of shape (n_images, n_axes)
        Coordinates of all images.
    proba : ndarray of shape (n_images, n_classes), optional
        None before there are two classes.
    counts : ndarray of shape (n_classes,)
        Labelled images of each class.
    labelled : ndarray
        Rows that have a decision.
    strangeness : ndarray of shape (n_images,), optional
        How unlike anything labelled each image is, where labelled images lie outside the folder.
    """

    Z: Float32Array
    proba: Float32Array | None
    counts: IntArray
    labelled: IntArray
    strangeness: Float32Array | None = None


def random_order(ids: Sequence[str], seed: int) -> IntArray:
    """A random order of images that depends on their ids and the seed alone.

    Images that are added to a folder later are inserted anywhere, so that the first of the order
    remain a random sample of all.
    """
    start = f"{seed}\n".encode()
    keys = [hashlib.sha256(start + id.encode("utf-8", "surrogatepass")).digest() for id in ids]
    return np.array(sorted(range(len(ids)), key=keys.__getitem__), np.int64)


def choose(known: Known, free: BoolArray, n: int, rng: np.random.Generator) -> NextRows:
    """Choose rows to label.

    Parameters
    ----------
    known : Known
    free : ndarray of shape (n_images,), bool
        Rows that may be chosen.
    n : int
        As many are chosen, or all that are free.
    rng : Generator
    """
    n = min(n, int(free.sum()))
    if n == 0:
        return NextRows(np.empty(0, np.int64), [])
    if known.proba is None:
        return NextRows(_typical(known.Z, free, n, rng), ["spread"] * n)
    strange = _strangest(known, free, int(rng.binomial(n, STRANGE)), rng)
    free = free.copy()
    free[strange] = False
    worth = _worth(known, np.flatnonzero(free), n - len(strange))
    reasons: list[Reason] = ["spread" for _ in strange]
    return NextRows(np.concatenate([strange, worth.rows]), reasons + worth.reasons)


def _worth(known: Known, rows: IntArray, n: int) -> NextRows:
    """Rows by doubt x rarity on a shortlist, x the distance from the others of the batch."""
    assert known.proba is not None
    proba = known.proba[rows]
    two = np.partition(proba, -2, axis=1)[:, -2:]
    doubt = 1.0 - (two[:, 1] - two[:, 0])
    rarity = proba @ (1.0 / np.sqrt(np.maximum(known.counts, 1))).astype(np.float32)
    weight = doubt * rarity + np.float32(SMALLEST)
    size = min(len(rows), SHORTLIST * n)
    short = np.argpartition(-weight, size - 1)[:size] if size else np.empty(0, np.int64)
    short = short[np.argsort(-weight[short], kind="stable")]
    U, weight = unit_rows(known.Z[rows[short]]), weight[short]
    rare = rarity[short] > 2 * np.median(rarity)
    distance, picked = np.ones(size, np.float32), []
    for _ in range(min(n, size)):
        i = int(np.argmax(weight * np.sqrt(distance)))
        picked.append(i)
        distance = np.minimum(distance, np.maximum(1.0 - U @ U[i], 0.0))
        weight[i] = -1.0  # below every product of the others, which are not negative
    return NextRows(rows[short[picked]], ["rare" if rare[i] else "doubt" for i in picked])


def _strangest(known: Known, free: BoolArray, n: int, rng: np.random.Generator) -> IntArray:
    """Rows most unlike anything labelled, and unlike each other, among some at random."""
    rows = np.flatnonzero(free)
    rows = rng.choice(rows, min(len(rows), STRANGE_AMONG), replace=False)
    if n == 0 or (known.strangeness is None and not len(known.labelled)):
        return rows[:0]
    U = unit_rows(known.Z[rows])
    if known.strangeness is None:
        distance = 1.0 - (U @ unit_rows(known.Z[known.labelled]).T).max(axis=1)
    else:
        distance = known.strangeness[rows].copy()
    picked: list[int] = []
    for _ in range(min(n, len(rows))):
        i = int(np.argmax(distance))
        picked.append(i)
        if known.strangeness is None:
            distance = np.minimum(distance, 1.0 - U @ U[i])
        distance[i] = -np.inf
    return rows[picked]


def _typical(Z: Float32Array, free: BoolArray, n: int, rng: np.random.Generator) -> IntArray:
    """The free rows nearest to the centres of ``n`` clusters, by k-means on a sample."""
    rows = np.flatnonzero(free)
    sample = Z[rng.choice(rows, min(len(rows), CLUSTER_ROWS), replace=False)]
    centres = sample[rng.choice(len(sample), min(n, len(sample)), replace=False)].copy()
    for _ in range(CLUSTER_ROUNDS):
        nearest = ((centres**2).sum(axis=1) - 2 * sample @ centres.T).argmin(axis=1)
        for k in np.unique(nearest):
            centres[k] = sample[nearest == k].mean(axis=0)
    squares, left, picked = (Z[rows] ** 2).sum(axis=1), np.ones(len(rows), bool), []
    for k in range(n):
        far = squares - 2 * (Z[rows] @ centres[k % len(centres)])
        far[~left] = np.inf
        picked.append(int(far.argmin()))
        left[picked[-1]] = False
    return rows[picked]


def unit_rows(Z: Float32Array) -> Float32Array:
    """Rows of length 1."""
    return np.asarray(Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), SMALLEST))
