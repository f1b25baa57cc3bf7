"""The store as extraction sees it: the cache, plus memory where the cache cannot be written."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.data.hashing import PIXEL_HASH_BYTES
from featx.errors import CorruptStoreError, StoreError
from featx.store import EmbeddingStore
from featx.types import ExtractorSpec


class OverlayStore:
    """An `EmbeddingStore` that may fall back to memory.

    Parameters
    ----------
    cache : path or None
        The cache folder; None keeps all embeddings in memory.
    spec : ExtractorSpec
        Whose embeddings these are.
    allow_memory : bool
        True keeps new embeddings in memory, and says so, when the cache cannot be written
        (scoring must work from a read-only cache); False raises.
    """

    def __init__(self, cache: Path | None, spec: ExtractorSpec, *, allow_memory: bool) -> None:
        self.spec = spec
        self.allow_memory = allow_memory
        self._memory: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self._lock = threading.Lock()
        self._base: EmbeddingStore | None = None
        self._writable = cache is not None
        if cache is None:
            return
        try:
            self._base = EmbeddingStore.open(cache, spec)
        except CorruptStoreError:
            raise
        except (StoreError, OSError) as error:
            self._fall_back(error)

    def __getstate__(self) -> dict[str, Any]:
        kept = {k: v for k, v in vars(self).items() if k not in ("_lock", "_base")}
        return {**kept, "folder": None if self._base is None else self._base.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the store again, as a copy in another process must."""
        folder = state.pop("folder")
        vars(self).update(state, _lock=threading.Lock())
        self._base = None if folder is None else EmbeddingStore.open_folder(folder)

    def __len__(self) -> int:
        return (len(self._base) if self._base is not None else 0) + len(self._memory)

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        """Which of ``hashes`` (n, 32) uint8 have a row; shape (n,), bool."""
        known = np.zeros(len(hashes), bool)
        if self._base is not None:
            known = self._base.contains(hashes)
        return known | self._held(hashes) if self._memory else known

    def _held(self, hashes: np.ndarray) -> np.ndarray:
        """Which of them are in memory."""
        return np.array([h.tobytes() in self._memory for h in hashes], bool)

    def add(self, hashes: np.ndarray, embeddings: np.ndarray, pixels: np.ndarray) -> None:
        """Keep rows: durably in the cache, or in memory where that is impossible and allowed."""
        if self._base is not None and self._writable:
            try:
                self._base.add(hashes, embeddings, pixels)
                return
            except CorruptStoreError:
                raise
            except (StoreError, OSError) as error:
                self._fall_back(error)
        with self._lock:
            for digest, *row in zip(hashes, embeddings, pixels, strict=True):
                self._memory[digest.tobytes()] = row[0], row[1]

    def gather(self, hashes: np.ndarray) -> np.ndarray:
        """Embeddings of ``hashes`` in the order asked, (n, n_features) float32."""
        found = np.empty((len(hashes), self.spec.n_features), np.float32)
        return self._filled(found, hashes, 0)

    def pixels(self, hashes: np.ndarray) -> np.ndarray:
        """Hashes of pixels, likewise, (n, 16) uint8; zeros where they are not known."""
        return self._filled(np.zeros((len(hashes), PIXEL_HASH_BYTES), np.uint8), hashes, 1)

    def _filled(self, result: np.ndarray, hashes: np.ndarray, column: int) -> np.ndarray:
        """``result`` with the embeddings (column 0) or hashes of pixels (1) of ``hashes``."""
        base = None
        if self._base is not None:
            base = self._base.pixels if column else self._base.gather
        if not self._memory:
            return result[:0] if base is None else base(hashes)
        held = self._held(hashes)
        if base is not None and not held.all():
            result[~held] = base(hashes[~held])
        for i in np.flatnonzero(held):
            result[i] = self._memory[hashes[i].tobytes()][column]
        return result

    def write_shard(self, hashes: np.ndarray, embeddings: np.ndarray, pixels: np.ndarray) -> str:
        """A cluster's worker's half of `add`; see `EmbeddingStore.write_shard`."""
        return self._in_cache().write_shard(hashes, embeddings, pixels)

    def adopt(self, names: Sequence[str]) -> None:
        """The committer's half of `add`; see `EmbeddingStore.adopt`."""
        self._in_cache().adopt(names)

    def refresh(self) -> None:
        """See what other processes have committed since."""
        self._in_cache().refresh()

    def _in_cache(self) -> EmbeddingStore:
        if self._base is None or not self._writable:
            raise StoreError(
                "A cluster cannot keep embeddings in memory.",
                hint="Use a cache that can be written, or leave out --cluster.",
            )
        return self._base

    def _fall_back(self, error: Exception) -> None:
        if not self.allow_memory:
            raise error
        self._writable = False
        console.warn(f"the cache cannot be written, embeddings stay in memory: {error}")
