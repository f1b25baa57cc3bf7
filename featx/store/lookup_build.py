"""Making the lookup file: from the shards' hashes, and from an older lookup file where it helps.

Memory stays bounded: uncovered rows are sorted in runs of `RUN_ROWS`, kept in an unnamed
temporary file where there are several, and merged one range of hashes at a time.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from featx.files import make_directory
from featx.store.index import Index, ShardEntry
from featx.store.lookup_file import LookupFile, lookup_path, write_lookup
from featx.store.records import RECORD_WORDS, make_records
from featx.store.shard import ShardReader

__all__ = ["build_lookup"]

RUN_ROWS = 2**22
_RANGE_ROWS = 2**20  # rows merged at once, as hashes are spread evenly


def build_lookup(reader: ShardReader, index: Index, base: LookupFile | None) -> None:
    """Write a lookup file that covers every shard of an index.

    Parameters
    ----------
    reader : ShardReader
    index : Index
    base : LookupFile or None
        What it covers is not read from the shards again.

    Raises
    ------
    DerivedError
        ``base`` is damaged.
    ShardGoneError, CorruptStoreError
        As `ShardReader.hashes`.
    OSError
        The disk is full or cannot be written.
    """
    starts = np.cumsum([0, *(shard.rows for shard in index.shards)], dtype=np.int64).tolist()
    number = {shard.name: start for shard, start in zip(index.shards, starts, strict=False)}
    covered = set() if base is None else {shard.name for shard in base.shards}
    groups = list(_groups([shard for shard in index.shards if shard.name not in covered]))
    n_ranges = max(1, -(-starts[-1] // _RANGE_ROWS))
    bounds = [2**64 * i // n_ranges for i in range(n_ranges + 1)]
    make_directory(lookup_path(reader.folder).parent)
    with contextlib.ExitStack() as stack:
        file = None
        if len(groups) > 1:
            file = stack.enter_context(
                tempfile.TemporaryFile(dir=lookup_path(reader.folder).parent)
            )
        runs = _Runs(bounds, file)
        for group in groups:
            records = [make_records(reader.hashes(shard), number[shard.name]) for shard in group]
            runs.add(_merged(records))
        write_lookup(
            reader.folder,
            reader.fingerprint,
            index.shards,
            (_part(runs, base, number, bounds, i) for i in range(n_ranges)),
        )


def _part(
    runs: _Runs, base: LookupFile | None, number: dict[str, int], bounds: Sequence[int], i: int
) -> np.ndarray:
    """All records between the i-th bound and the next, sorted."""
    found = runs.between(i)
    if base is not None:
        found.append(_renumbered(base, base.between(bounds[i], bounds[i + 1]), number))
    return _merged(found)


def _merged(parts: Sequence[np.ndarray]) -> np.ndarray:
    records = np.concatenate([np.empty((0, RECORD_WORDS), np.uint64), *parts])
    return records[np.argsort(records[:, 0], kind="stable")]


def _groups(shards: Sequence[ShardEntry]) -> Iterator[list[ShardEntry]]:
    """Consecutive shards of about `RUN_ROWS` together."""
    group: list[ShardEntry] = []
    for shard in shards:
        if group and sum(s.rows for s in group) + shard.rows > RUN_ROWS:
            yield group
            group = []
        group.append(shard)
    if group:
        yield group


def _renumbered(base: LookupFile, records: np.ndarray, number: dict[str, int]) -> np.ndarray:
    """Records of a lookup file whose shards are still there, with their rows' new numbers."""
    shift = np.array([number.get(shard.name, -1) for shard in base.shards], np.int64)
    gone = shift < 0
    shard = base.shard_of(records)
    records[:, 4] += (shift - base.starts[:-1])[shard].astype(np.uint64)  # modulo 2^64
    return records[~gone[shard]]


class _Runs:
    """Sorted runs of records, cut at common bounds.

    Parameters
    ----------
    bounds : sequence of int
        The first is 0 and the last 2^64.
    file : binary file or None
        Keeps the runs; None keeps them in memory.
    """

    def __init__(self, bounds: Sequence[int], file: IO[bytes] | None) -> None:
        self._inner = np.array(bounds[1:-1], np.uint64)
        self._file = file
        self._runs: list[np.ndarray] = []
        self._cuts: list[np.ndarray] = []
        self._written = 0

    def add(self, records: np.ndarray) -> None:
        inner = np.searchsorted(np.ascontiguousarray(records[:, 0]), self._inner)
        cuts = np.concatenate([[0], inner, [len(records)]])
        if self._file is None:
            self._runs.append(records)
            self._cuts.append(cuts)
        else:
            records.tofile(self._file)
            self._cuts.append(cuts + self._written)
            self._written += len(records)

    def between(self, i: int) -> list[np.ndarray]:
        """Of every run, the records between the i-th bound and the next."""
        if self._file is None:
            return [
                run[cut[i] : cut[i + 1]] for run, cut in zip(self._runs, self._cuts, strict=True)
            ]
        return [self._read(int(cut[i]), int(cut[i + 1])) for cut in self._cuts]

    def _read(self, start: int, stop: int) -> np.ndarray:
        assert self._file is not None
        self._file.seek(start * 8 * RECORD_WORDS)
        words = np.fromfile(self._file, np.uint64, (stop - start) * RECORD_WORDS)
        return words.reshape(-1, RECORD_WORDS)
