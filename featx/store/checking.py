"""Rows that are given to a store, refused where they are not what it holds."""

from __future__ import annotations

import numpy as np

from featx.errors import StoreError
from featx.store.index import HASH_BYTES, PIXELS_BYTES


def checked_hashes(hashes: np.ndarray, width: int = HASH_BYTES) -> np.ndarray:
    """``hashes`` themselves if they are uint8 of shape (n, ``width``); else `StoreError`."""
    if (
        not isinstance(hashes, np.ndarray)
        or hashes.dtype != np.uint8
        or hashes.ndim != 2
        or hashes.shape[1] != width
    ):
        found = getattr(hashes, "dtype", type(hashes).__name__)
        raise StoreError(
            f"Hashes must be a uint8 array of shape (n, {width}), "
            f"got {found} of shape {np.shape(hashes)}."
        )
    return hashes


def checked_pixels(pixels: np.ndarray | None, n: int) -> np.ndarray:
    """``pixels`` if they are ``n`` hashes of pixels; zeros, which mean unknown, for None."""
    if pixels is None:
        return np.zeros((n, PIXELS_BYTES), np.uint8)
    if len(checked_hashes(pixels, PIXELS_BYTES)) != n:
        raise StoreError(f"{len(pixels)} hashes of pixels were given for {n} images.")
    return pixels


def checked_embeddings(embeddings: np.ndarray, shape: tuple[int, int], backbone: str) -> np.ndarray:
    """``embeddings`` themselves if they are float32, finite and of ``shape``; else `StoreError`."""
    if not isinstance(embeddings, np.ndarray) or embeddings.dtype != np.float32:
        found = getattr(embeddings, "dtype", type(embeddings).__name__)
        raise StoreError(f"Embeddings must be a float32 array, got {found}.")
    if embeddings.shape != shape:
        raise StoreError(f"Embeddings have shape {embeddings.shape}, expected {shape}.")
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise StoreError(
            f"{len(bad)} of {len(embeddings)} embeddings of {backbone} are not finite "
            f"(first: row {bad[0]}).",
            hint="Try --precision fp32; half precision overflows in some networks.",
        )
    return embeddings
