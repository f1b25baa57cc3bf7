"""Making a lookup file: from shards' hashes, and from smaller lookup files.

Memory stays bounded: the shards' rows are sorted in runs of `RUN_ROWS`, kept in an unnamed
temporary file where there are several, and merged one range of hashes at a time.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import IO

import numpy as np

from featx.files import make_directory
from featx.store.derived import DERIVED_NAME
from featx.store.index import ShardEntry, row_starts
from featx.store.lookup_file import Covered, LookupFile, write_lookup
from featx.store.records import RECORD_WORDS, make_records
from featx.store.shard import ShardReader

RUN_ROWS = 2**20
_RANGE_ROWS = 2**19  # rows merged at once, as hashes are spread evenly


def build_lookup(
    reader: ShardReader,
    shards: Sequence[ShardEntry],
    merged: Sequence[tuple[LookupFile, np.ndarray]],
) -> LookupFile:
    """Make one lookup file of some shards and of other lookup files.

    Parameters
    ----------
    reader : ShardReader
    shards : sequence of ShardEntry
        Their hashes are read.
    merged : sequence of (LookupFile, ndarray of bool)
        Files to take records from, and of which of their shards.

    Raises
    ------
    DerivedError
        One of the files is damaged.
    ShardGoneError, CorruptStoreError
        As `ShardReader.hashes`.
    OSError
        The disk is full or cannot be written.
    """
    covered = [Covered(shard.name, shard.rows) for shard in shards]
    for file, live in merged:
        covered += itertools.compress(file.shards, live.tolist())
    starts = row_starts(shard.rows for shard in covered).tolist()
    number = {shard.name: start for shard, start in zip(covered, starts, strict=False)}
    n_ranges = max(1, -(-starts[-1] // _RANGE_ROWS))
    # Hashes are spread evenly, so equal ranges hold about equally many rows.
    bounds = [2**64 * i // n_ranges for i in range(n_ranges + 1)]

    def part(runs: _Runs, i: int) -> np.ndarray:
        found = runs.between(i)
        for file, live in merged:
            records = file.between(bounds[i], bounds[i + 1])
            found.append(_renumbered(file, live, records, number))
        return _merged(found)

    place = reader.folder / DERIVED_NAME
    make_directory(place)
    groups = list(_groups(shards))
    with tempfile.TemporaryFile(dir=place) if len(groups) > 1 else nullcontext() as kept:
        runs = _Runs(bounds, kept)
        for group in groups:
            runs.add(_merged([make_records(reader.hashes(s), number[s.name]) for s in group]))
        parts = (part(runs, i) for i in range(n_ranges))
        path = write_lookup(reader.folder, reader.fingerprint, covered, parts)
    return LookupFile(path, reader.fingerprint)


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


def _renumbered(
    file: LookupFile, live: np.ndarray, records: np.ndarray, number: dict[str, int]
) -> np.ndarray:
    """Records of a lookup file's ``live`` shards, with the numbers of their rows in another."""
    shift = np.array([number.get(shard.name, 0) for shard in file.shards], np.int64)
    shard = file.shard_of(records)
    records[:, 4] += (shift - file.starts[:-1])[shard].astype(np.uint64)  # modulo 2^64
    return records[live[shard]]


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
