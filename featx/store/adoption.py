"""Indexing shards that others wrote: the committer's half of adding from many machines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from featx.errors import CorruptStoreError, StoreError
from featx.files import fsync_directory
from featx.store.faults import storage_errors
from featx.store.index import HASH_BYTES, SHARD_PATTERN, SHARDS_NAME, Index, ShardEntry, write_index
from featx.store.lock import committer_lock
from featx.store.lookup import first_rows
from featx.store.shard import ShardReader
from featx.store.snapshot import Snapshot, load_snapshot
from featx.store.structure import StructureError


def unindexed_shards(reader: ShardReader, index: Index) -> list[str]:
    """Names in the shards' folder that are a shard's and that the index does not hold, sorted."""
    folder = reader.folder / SHARDS_NAME
    with storage_errors("list", folder):
        names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 - names only
    listed = {shard.name for shard in index.shards}
    return sorted(n for n in names if n not in listed and SHARD_PATTERN.fullmatch(n))


def adopt_shards(reader: ShardReader, snapshot: Snapshot, names: Sequence[str]) -> int:
    """Add those of the named shards that hold rows the index lacks, in one commit.

    ``snapshot`` only saves reading again what it holds. Returns how many were added; raises as
    `EmbeddingStore.adopt`.
    """
    for name in names:
        if not isinstance(name, str) or SHARD_PATTERN.fullmatch(name) is None:
            raise StoreError(
                f"{name!r:.200} is not the name of a shard.",
                hint="Give adopt what write_shard returned.",
            )
    if not names:
        return 0
    listed = {shard.name for shard in snapshot.index.shards}
    # Read and verified before the lock is taken: other committers wait moments, not minutes.
    entries = [_identify(reader, name) for name in names if name not in listed]
    with committer_lock(reader.folder):
        snapshot = load_snapshot(reader, snapshot, derive=False)
        new = _with_new_rows(reader, snapshot, entries)
        # Their writers may have died before syncing the names, and whoever indexed the others too.
        with storage_errors("sync", reader.folder):
            fsync_directory(reader.folder / SHARDS_NAME)
            fsync_directory(reader.folder)
        if new:
            shards = (*snapshot.index.shards, *new)
            write_index(reader.folder, replace(snapshot.index, shards=shards))
    return len(new)


def _identify(reader: ShardReader, name: str) -> ShardEntry:
    try:
        return reader.identify(name)
    except StructureError as error:
        raise _lost(reader.folder / SHARDS_NAME / name, str(error)) from None


def _lost(path: Path, reason: str) -> CorruptStoreError:
    return CorruptStoreError(
        f"{path} cannot be adopted: {reason}.",
        hint="Extract again: its rows are computed again, and `featx cache gc` removes the file. "
        "(gc takes shards that nobody adopts within an hour.)",
    )


def _with_new_rows(
    reader: ShardReader, snapshot: Snapshot, entries: Sequence[ShardEntry]
) -> list[ShardEntry]:
    """Unlisted shards that hold a row which neither the store nor an earlier one of them holds."""
    listed = {shard.name for shard in snapshot.index.shards}
    entries = [entry for entry in entries if entry.name not in listed]
    for path in map(reader.path, entries):
        if not path.exists():  # gc was here between the reading and the lock
            raise _lost(path, "it is gone")
    blocks = [reader.hashes(entry) for entry in entries]
    hashes = np.concatenate([np.empty((0, HASH_BYTES), np.uint8), *blocks])
    first = first_rows(hashes)
    is_new = np.zeros(len(hashes), bool)
    is_new[first] = snapshot.rows.find(hashes[first]) < 0
    ends = np.cumsum([len(block) for block in blocks], dtype=np.int64)
    parts = np.split(is_new, ends[:-1])
    return [entry for entry, part in zip(entries, parts, strict=False) if part.any()]
