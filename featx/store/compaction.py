"""Merging small shards into larger ones: write the new, commit the index, delete the old."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from featx import console
from featx.files import fsync_directory
from featx.store.index import Index, ShardEntry, read_index_bytes, write_index
from featx.store.listing import extractor_folders, open_reader
from featx.store.lock import committer_lock
from featx.store.lookup import first_rows
from featx.store.shard import ShardReader, build_shard, rows_per_shard


@dataclass(frozen=True)
class Compaction:
    """How many shards there were before and after."""

    shards_before: int
    shards_after: int


@console.stage("Merging shards")
def compact(cache: str | Path) -> dict[str, Compaction]:
    """Merge the small shards of every extractor in a cache.

    Returns
    -------
    dict of str to Compaction
        By the name of the extractor's folder.

    Raises
    ------
    CorruptStoreError, StoreError, StoreLockedError
        As `compact_shards`.
    """
    return {folder.name: compact_shards(open_reader(folder)) for folder in extractor_folders(cache)}


def current_index(reader: ShardReader) -> Index:
    """The index as it stands on disk now; an empty one where nothing was committed."""
    return reader.parse_index(read_index_bytes(reader.folder))


def small_shards(index: Index) -> list[ShardEntry]:
    """Shards at most half as full as a shard may be."""
    limit = rows_per_shard(index.n_features) // 2
    return [shard for shard in index.shards if shard.rows <= limit]


def compact_shards(reader: ShardReader) -> Compaction:
    """Merge small shards until none is left that another could join.

    The lock is held for one merged shard at a time, so other committers wait moments, not minutes.

    Raises
    ------
    CorruptStoreError
        A shard to be merged is damaged; nothing of it was copied.
    StoreError
        The disk is full or cannot be written; everything committed is still there.
    """
    index = current_index(reader)
    before = len(index.shards)
    while _next_group(index):
        with committer_lock(reader.folder):
            index = current_index(reader)
            group = _next_group(index)
            if group:
                index = _merge(reader, index, group)
    return Compaction(before, len(index.shards))


def _next_group(index: Index) -> list[ShardEntry]:
    """The first small shards that fit into one together; empty when there are not two."""
    limit, group, rows = rows_per_shard(index.n_features), [], 0
    for shard in small_shards(index):
        if rows + shard.rows > limit:
            break
        group.append(shard)
        rows += shard.rows
    return group if len(group) >= 2 else []


def _merge(reader: ShardReader, index: Index, group: Sequence[ShardEntry]) -> Index:
    embeddings = np.concatenate([reader.verify(shard) for shard in group])
    hashes = np.concatenate([reader.hashes(shard) for shard in group])
    pixels = np.concatenate([reader.pixels(shard) for shard in group])
    # Racing writers may have committed the same image twice: one row is enough.
    first = first_rows(hashes)
    entry, image = build_shard(hashes[first], embeddings[first], pixels[first], reader.fingerprint)
    reader.write(entry, image)
    merged = set(group)
    at = index.shards.index(group[0])
    kept = [shard for shard in index.shards if shard not in merged]
    index = replace(index, shards=(*kept[:at], entry, *kept[at:]))
    try:
        write_index(reader.folder, index)
    except Exception:
        discard_unlisted(reader, entry)
        raise
    for shard in group:
        # A shard that cannot be deleted is an orphan, which gc removes; no row depends on it.
        with contextlib.suppress(OSError):
            reader.remove(shard)
    with contextlib.suppress(OSError):
        fsync_directory(reader.path(entry).parent)
    return index


def discard_unlisted(reader: ShardReader, entry: ShardEntry) -> None:
    """Delete a shard whose commit failed, unless the index on disk names it after all.

    A failing commit usually means a full disk, where an orphan must not stay. When even this
    fails the orphan is harmless and ``featx cache gc`` removes it later.
    """
    with contextlib.suppress(Exception):
        if entry not in current_index(reader).shards:
            reader.remove(entry)
