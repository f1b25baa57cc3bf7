"""Reading rows of many shards at once, each straight to where it was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from featx.machine import cpu_cores
from featx.store.index import PIXELS_BYTES, Index
from featx.store.pages import Scratch
from featx.store.shard import ShardReader

_MAX_THREADS = 4  # each may hold a shard, 64 MiB; four outrun most disks
_THREADED_BYTES = 2**25


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
    starts = np.cumsum([0, *(shard.rows for shard in index.shards)], dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    bounds = np.searchsorted(ascending, starts)

    def read(numbers: Iterable[int]) -> None:
        scratch = Scratch()
        for number in numbers:
            part = slice(bounds[number], bounds[number + 1])
            local = ascending[part] - starts[number]
            reader.read(index.shards[number], local, gathered, order[part], scratch)

    needed = np.flatnonzero(np.diff(bounds)).tolist()
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
    starts = np.cumsum([0, *(shard.rows for shard in index.shards)], dtype=np.int64)
    shard_of = np.searchsorted(starts, rows, side="right") - 1
    order = np.argsort(shard_of, kind="stable")
    bounds = np.searchsorted(shard_of[order], np.arange(len(starts)))
    for number in np.flatnonzero(np.diff(bounds)).tolist():
        shard, part = index.shards[number], order[bounds[number] : bounds[number + 1]]
        if shard.pixels_offset:
            gathered[part] = reader.pixels(shard)[rows[part] - starts[number]]
    return gathered
