"""Which images to label next: some at random, the others where a label pays most."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["NextRows", "Reason", "choose", "random_order"]

Reason = Literal["random", "doubt", "spread", "rare"]
Floats = NDArray[np.float32]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class NextRows:
    """Rows to label and why."""

    rows: Codes
    reasons: list[Reason]


def random_order(ids: Sequence[str], seed: int) -> Codes:
    """A random order of images that depends on their ids and the seed alone.

    Images that are added to a folder later are inserted anywhere, so that the first of the order
    remain a random sample of all.
    """
    start = f"{seed}\n".encode()
    keys = [hashlib.sha256(start + id.encode("utf-8", "surrogatepass")).digest() for id in ids]
    return np.array(sorted(range(len(ids)), key=keys.__getitem__), np.int64)


def choose(proba: Floats | None, free: Mask, n: int, rng: np.random.Generator) -> NextRows:
    """The ``n`` most doubtful of the free rows."""
    rows = np.flatnonzero(free)
    n = min(n, len(rows))
    if proba is None:
        return NextRows(rng.choice(rows, n, replace=False), ["spread"] * n)
    best = np.sort(proba[rows], axis=1)
    doubt = 1 - (best[:, -1] - best[:, -2]) if best.shape[1] > 1 else rng.random(len(rows))
    return NextRows(rows[np.argsort(-doubt, kind="stable")[:n]], ["doubt"] * n)
