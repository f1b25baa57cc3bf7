"""Small labelled embeddings for the tests of fitting."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from featx.fitting import FitData


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
