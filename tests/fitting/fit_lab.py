"""Small labelled embeddings for the tests of fitting."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from featx.data.splits import Folds
from featx.fitting import FitData
from featx.fitting.data import Part
from featx.fitting.executors import SearchSettings, ThreadExecutor
from featx.fitting.partition import Partition
from featx.fitting.search import FoldSearch
from featx.fitting.splitting import split_data


def hashes_of(names: Sequence[object]) -> np.ndarray:
    """One SHA-256 for each name; equal names stand for exact copies."""
    digests = [hashlib.sha256(str(name).encode()).digest() for name in names]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


def make_data(counts: Sequence[int], *, n_features=8, distance=3.0, seed=0, **columns) -> FitData:
    """Gaussian classes ``c0, c1, ...`` of the given sizes, ``distance`` apart.

    ``columns`` are ``groups``, ``splits`` or ``copies`` (names; equal ones share a hash).
    """
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    centres = rng.normal(size=(len(counts), n_features))
    centres *= distance / np.linalg.norm(centres, axis=1, keepdims=True)
    X = (centres[y] + rng.normal(size=(len(y), n_features))).astype(np.float32)
    copies = columns.pop("copies", range(len(y)))
    return FitData(
        X={"net": X},
        y=np.array([f"c{c}" for c in y]),
        ids=[f"{i:04}.png" for i in range(len(y))],
        hashes=hashes_of(list(copies)),
        **{name: np.array([str(v) for v in values]) for name, values in columns.items()},
    )


def part_of(data: FitData) -> Part:
    """The images to search on."""
    return split_data(data, use_test=False)[0]


def partition_of(data: FitData, n_folds: int = 4) -> Partition:
    """The same with their folds."""
    return Partition.of(part_of(data), n_folds=n_folds, seed=0)


def make_search(
    data: FitData, *, n_folds=4, folds: Folds | None = None, calibrate="none", jobs=2
) -> FoldSearch:
    """A search on all images but those of a test split, with nothing scored yet."""
    partition = Partition(part_of(data), folds) if folds else partition_of(data, n_folds)
    settings = SearchSettings("balanced_accuracy", 0, calibrate)
    return FoldSearch(settings, partition, ThreadExecutor(jobs))
