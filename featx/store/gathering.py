"""Reading rows of many shards at once, each straight to where it was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from featx.machine import cpu_cores
from featx.store.index import PIXELS_BYTES, Index, ShardEntry, row_starts
from featx.store.pages import Scratch
from featx.store.shard import ShardReader

_MAX_THREADS = 4  # each may hold a shard, 64 MiB; four outrun most disks
_THREADED_BYTES = 2**25
_Part = tuple[ShardEntry, np.ndarray, np.ndarray]


def gather_rows(reader: ShardReader, index: Index, rows: np.ndarray) -> np.ndarray:
    """Embeddings by row number.

    Parameters
    ----------
    reader : ShardReader
    index : Index
        Through whose shards the rows are numbered.
    rows : ndarray of shape (n,), int64

    Returns
    -------
    ndarray of shape (n, n_features), float32

    Raises
    ------
    ShardGoneError, CorruptStoreError, StoreError
        As `ShardReader.read`.
    """
    gathered = np.empty((len(rows), reader.n_features), np.float32)

    def read(parts: Iterable[_Part]) -> None:
        scratch = Scratch()
        for shard, local, at in parts:
            reader.read(shard, local, gathered, at, scratch)

    needed = list(_by_shard(index, rows))
    threads = min(cpu_cores(), _MAX_THREADS, len(needed))
    if threads < 2 or gathered.nbytes < _THREADED_BYTES:
        read(needed)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(read, [needed[i::threads] for i in range(threads)]):
                pass
    return gathered


def gather_pixels(reader: ShardReader, index: Index, rows: np.ndarray) -> np.ndarray:
    """Hashes of pixels by row number, (n, 16) uint8; zeros where they are not known.

    Parameters and errors as for `gather_rows`.
    """
    gathered = np.zeros((len(rows), PIXELS_BYTES), np.uint8)
    for shard, local, at in _by_shard(index, rows):
        if shard.pixels_offset:
            gathered[at] = reader.pixels(shard)[local]
    return gathered


def _by_shard(index: Index, rows: np.ndarray) -> Iterator[_Part]:
    """Each shard that rows are in, their numbers in it, ascending, and their places in ``rows``."""
    starts = row_starts(shard.rows for shard in index.shards)
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    bounds = np.searchsorted(ascending, starts)
    for number in np.flatnonzero(np.diff(bounds)).tolist():
        part = slice(bounds[number], bounds[number + 1])
        yield index.shards[number], ascending[part] - starts[number], order[part]
