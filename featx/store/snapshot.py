"""One consistent view of an extractor's folder: an index and the lookup of all its rows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featx.store.index import HASH_BYTES, Index, parse_index, read_index_bytes
from featx.store.lookup import Lookup
from featx.store.shard import ShardGoneError, ShardReader

__all__ = ["Snapshot", "load_snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """An index and its rows.

    Parameters
    ----------
    index : Index
    data : bytes or None
        The index file's bytes; None where there is none yet.
    lookup : Lookup
        Over all shards' rows, in the order of the index.
    """

    index: Index
    data: bytes | None
    lookup: Lookup

    @cached_property
    def starts(self) -> np.ndarray:
        """First row number of each shard, and the total; shape (n_shards + 1,)."""
        counts = [0, *(shard.rows for shard in self.index.shards)]
        return np.cumsum(counts, dtype=np.int64)


def load_snapshot(reader: ShardReader, previous: Snapshot | None = None) -> Snapshot:
    """Read the current index and the hashes of its shards.

    Shards that ``previous`` already holds are not read again. A compaction in another process
    may delete a shard between our reading the index and the shard; then the index has changed
    and is read again.

    Raises
    ------
    CorruptStoreError
        The index or a shard's hashes are damaged, or a shard that the index names is gone.
    """
    folder = reader.folder
    data = read_index_bytes(folder)
    while True:
        if previous is not None and data == previous.data:
            return previous
        if data is None:
            index = Index(reader.fingerprint, reader.n_features)
        else:
            index = parse_index(data, folder, reader.fingerprint, reader.n_features)
        try:
            return Snapshot(index, data, _build_lookup(reader, index, previous))
        except ShardGoneError:
            before, data = data, read_index_bytes(folder)
            if data == before:
                raise


def _build_lookup(reader: ShardReader, index: Index, previous: Snapshot | None) -> Lookup:
    known = {}
    if previous is not None:
        bounds = itertools.pairwise(previous.starts)
        known = dict(zip(previous.index.shards, bounds, strict=True))
    blocks = [
        previous.lookup.hashes[slice(*known[entry])]
        if previous is not None and entry in known
        else reader.hashes(entry)
        for entry in index.shards
    ]
    hashes = np.concatenate([np.empty((0, HASH_BYTES), np.uint8), *blocks])
    grown = previous is not None and (
        index.shards[: len(previous.index.shards)] == previous.index.shards
    )
    return Lookup(hashes, previous.lookup if previous is not None and grown else None)
