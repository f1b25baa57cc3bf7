"""One consistent view of an extractor's folder: an index and the numbers of all its rows."""

from __future__ import annotations

from dataclasses import dataclass

from featx.store.index import Index, read_index_bytes
from featx.store.rows import RowMap
from featx.store.shard import ShardGoneError, ShardReader


@dataclass(frozen=True)
class Snapshot:
    """An index and its rows.

    Parameters
    ----------
    index : Index
    data : bytes or None
        The index file's bytes; None where there is none yet.
    rows : RowMap
        Row numbers by hash over all shards, in the order of the index.
    """

    index: Index
    data: bytes | None
    rows: RowMap


def load_snapshot(
    reader: ShardReader, previous: Snapshot | None = None, *, derive: bool = True
) -> Snapshot:
    """Read the current index, and the hashes of those shards that no lookup file covers.

    Shards that ``previous`` already holds are not read again. A compaction in another process
    may delete a shard between our reading the index and the shard; then the index has changed
    and is read again. With ``derive`` False no lookup file is made, which may take long.

    Raises
    ------
    CorruptStoreError
        The index or a shard's hashes are damaged, or a shard that the index names is gone.
    """
    data = read_index_bytes(reader.folder)
    while True:
        if previous is not None and data == previous.data:
            return previous
        index = reader.parse_index(data)
        try:
            known = None if previous is None else previous.rows
            rows = RowMap(reader, index, known, derive=derive)
            return Snapshot(index, data, rows)
        except ShardGoneError:
            before, data = data, read_index_bytes(reader.folder)
            if data == before:
                raise
