"""Where each image's embedding is: lookup files for most shards, memory for the few others."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from featx.errors import CorruptStoreError, StoreError
from featx.files import make_directory
from featx.store.derived import DERIVED_NAME, DerivedError, discard
from featx.store.faults import storage_errors
from featx.store.in_order import find_in_order
from featx.store.index import HASH_BYTES, SHARDS_NAME, Index, ShardEntry, row_starts
from featx.store.lock import committer_lock
from featx.store.lookup import Lookup, first_rows
from featx.store.lookup_build import build_lookup
from featx.store.lookup_file import Covered, LookupFile, open_lookups
from featx.store.shard import ShardGoneError, ShardReader

#: Rows that may stay outside all lookup files: what opening a store reads and holds of them.
MIN_ROWS = 2**16
#: A new lookup file takes in those that are at most so many times as large as it would be: there
#: are about log(rows / MIN_ROWS) / log(_GROWTH) files, and a row is written about as often.
_GROWTH = 4
#: Uncovered rows from which a process waits for another one that makes their lookup file.
_WAIT_ROWS = 2**20
#: Hashes from which it is tried whether they are asked for in order.
_MANY = 4096
#: Hashes searched for at once; what this needs grows with their number.
_AT_ONCE = 2**22
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Numbering:
    """Row numbers that count through some shards, as the index counts through all of its own.

    Parameters
    ----------
    starts : ndarray of shape (n_shards + 1,), int64
        First row of each shard, and the total.
    shift : ndarray of shape (n_shards,), int64
        What to add.
    """

    starts: np.ndarray
    shift: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """The numbers in the index; -1 stays -1."""
        if not self.shift.any():
            return rows
        shift = self.shift[np.searchsorted(self.starts, rows, side="right") - 1]
        return np.where(rows < 0, -1, rows + shift)


@dataclass(frozen=True)
class _Source:
    """A lookup file, and what of it is searched.

    Parameters
    ----------
    file : LookupFile
    live : ndarray of shape (len(file.shards),), bool
        Shards that the index names and no larger file covers.
    numbering : _Numbering
    """

    file: LookupFile
    live: np.ndarray
    numbering: _Numbering

    @cached_property
    def n_rows(self) -> int:
        """Rows of the live shards."""
        return int(np.diff(self.file.starts)[self.live].sum())

    def find(self, wanted: np.ndarray) -> np.ndarray:
        return self.numbering(self.file.find(wanted, None if self.live.all() else self.live))


@dataclass(frozen=True)
class _View:
    """What a `RowMap` searches.

    Parameters
    ----------
    sources : tuple of _Source
        The largest first.
    recent : tuple of ShardEntry
        Shards of the index that no lookup file covers.
    lookup : Lookup
        Over the rows of ``recent``.
    numbering : _Numbering
        Of the rows of ``recent``.
    """

    sources: tuple[_Source, ...]
    recent: tuple[ShardEntry, ...]
    lookup: Lookup
    numbering: _Numbering

    def find(self, wanted: np.ndarray) -> np.ndarray:
        """As `RowMap.find`; raises DerivedError where a lookup file is damaged."""
        found = self._find(wanted, len(self.sources))
        if self.recent:
            left = np.flatnonzero(found < 0)
            found[left] = self.numbering(self.lookup.find(wanted[left]))
        return found

    def _find(self, wanted: np.ndarray, n_sources: int) -> np.ndarray:
        """Row numbers by the first so many sources."""
        found = np.full(len(wanted), -1, np.int64)
        for source in self.sources[:n_sources]:
            left = np.flatnonzero(found < 0)
            found[left] = source.find(wanted[left])
        return found

    def n_distinct(self) -> int:
        """How many different hashes there are; raises as `find`."""
        total = 0
        for i, source in enumerate(self.sources):
            if i == 0 and source.live.all():
                total += source.file.n_distinct
                continue
            for hashes in source.file.distinct(source.live):
                total += int((self._find(hashes, i) < 0).sum())
        recent = self.lookup.hashes[first_rows(self.lookup.hashes)]
        return total + int((self._find(recent, len(self.sources)) < 0).sum())

    def blocks(self) -> dict[str, np.ndarray]:
        """The hashes of each of ``recent``, by the shard's name."""
        bounds = itertools.pairwise(self.numbering.starts.tolist())
        hashes = self.lookup.hashes
        return {s.name: hashes[a:b] for s, (a, b) in zip(self.recent, bounds, strict=True)}


class RowMap:
    """Row numbers by hash over all shards of an index, numbered in its order.

    Parameters
    ----------
    reader : ShardReader
    index : Index
    previous : RowMap, optional
        Of an earlier index; what it has read is not read again.
    derive : bool, default True
        Whether to make lookup files.

    Attributes
    ----------
    starts : ndarray of shape (n_shards + 1,), int64
        First row number of each shard, and the total.

    Raises
    ------
    CorruptStoreError
        A shard's hashes are damaged.
    ShardGoneError
        A shard that the index names is gone.
    """

    def __init__(
        self,
        reader: ShardReader,
        index: Index,
        previous: RowMap | None = None,
        *,
        derive: bool = True,
    ) -> None:
        self._derive = derive
        self._reader = reader
        self._index = index
        self.starts = row_starts(shard.rows for shard in index.shards)
        numbered = zip(index.shards, self.starts.tolist(), strict=False)
        self._start_of = {shard.name: start for shard, start in numbered}
        self._view: _View = self._load(None if previous is None else previous._view)

    def find(self, wanted: np.ndarray) -> np.ndarray:
        """Row number of each of ``wanted`` (m, 32) uint8; (m,) int64, -1 where absent."""
        if len(wanted) < _MANY:
            return self._search(wanted)
        found = find_in_order(wanted, self._search, self._block_at)
        left = np.flatnonzero(found < 0)
        for start in range(0, len(left), _AT_ONCE):
            part = left[start : start + _AT_ONCE]
            found[part] = self._search(wanted[part])
        return found

    def _search(self, wanted: np.ndarray) -> np.ndarray:
        return self._sound(lambda view: view.find(wanted))

    def _block_at(self, row: int) -> np.ndarray:
        """Hashes of a row and of those that follow it in its shard."""
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        shard = self._index.shards[number]
        block = self._view.blocks().get(shard.name)
        if block is None:
            block = self._reader.hashes(shard)
        return block[row - self.starts[number] :]

    @cached_property
    def n_distinct(self) -> int:
        """How many different hashes there are."""
        return self._sound(lambda view: view.n_distinct())

    def hashes(self) -> np.ndarray:
        """Distinct hashes in the order of the rows; (`n_distinct`, 32) uint8."""
        hashes = self._hashes_of(self._index.shards, self._view)
        return hashes if len(hashes) == self.n_distinct else hashes[first_rows(hashes)]

    def _sound(self, ask: Callable[[_View], _T]) -> _T:
        """Ask; where a lookup file turns out damaged, rebuild it, or do without any."""
        for use_files in (True, False):
            try:
                return ask(self._view)
            except DerivedError:
                self._view = self._load(None, use_files=use_files)
        return ask(self._view)

    def _load(self, previous: _View | None, *, use_files: bool = True) -> _View:
        sources = self._sources(previous) if use_files else ()
        recent = self._uncovered(sources)
        hashes = self._hashes_of(recent, previous)
        grown = previous is not None and recent[: len(previous.recent)] == previous.recent
        lookup = Lookup(hashes, previous.lookup if previous is not None and grown else None)
        return _View(sources, recent, lookup, self._numbering(recent))

    def _hashes_of(self, shards: Sequence[ShardEntry], view: _View | None) -> np.ndarray:
        """The hashes of some shards, as they follow each other; those in the view are not read."""
        known = {} if view is None else view.blocks()
        blocks = [known[s.name] if s.name in known else self._reader.hashes(s) for s in shards]
        return np.concatenate([np.empty((0, HASH_BYTES), np.uint8), *blocks])

    def _sources(self, previous: _View | None) -> tuple[_Source, ...]:
        """The lookup files, one made first where they leave too much to memory."""
        known = [] if previous is None else [source.file for source in previous.sources]
        reader = self._reader
        sources = self._arranged(open_lookups(reader.folder, reader.fingerprint, known))
        rows = self._n_uncovered(sources)
        if rows > MIN_ROWS and self._derive:
            place = reader.folder / DERIVED_NAME
            # One process makes it; meanwhile memory will do for the others, if it is not much.
            timeout_s = None if rows > _WAIT_ROWS else 0.0
            try:
                with storage_errors("create", place):
                    make_directory(place)
                with committer_lock(place, timeout_s=timeout_s):
                    sources = self._made([source.file for source in sources])
            except CorruptStoreError:
                raise
            except StoreError:  # a full disk, a read-only one, a lock that is held: likewise
                pass
        if sources:
            self._expect_shards()
        return sources

    def _n_uncovered(self, sources: Sequence[_Source]) -> int:
        return sum(shard.rows for shard in self._uncovered(sources))

    def _made(self, known: Sequence[LookupFile]) -> tuple[_Source, ...]:
        """Make a lookup file, unless another process has by now, and open all."""
        files = open_lookups(self._reader.folder, self._reader.fingerprint, known)
        sources = self._arranged(files)
        rows = self._n_uncovered(sources)
        if rows <= MIN_ROWS:
            return sources
        merged, kept = [], list(sources[::-1])  # the smallest first
        # Each file taken in makes the new one larger, so that it may reach the next one too.
        while kept and kept[0].n_rows <= _GROWTH * rows:
            source = kept.pop(0)
            merged.append((source.file, source.live))
            rows += source.n_rows
        try:
            new = build_lookup(self._reader, self._uncovered(sources), merged)
        except (OSError, DerivedError):  # a full disk, or a damaged file
            return sources
        still_used = [source.file for source in kept]
        for file in files:
            if file not in still_used:
                discard(file.path)
        return self._arranged([new, *still_used])

    def _arranged(self, files: Sequence[LookupFile]) -> tuple[_Source, ...]:
        """Every file that covers a shard which no larger one covers."""
        sources, covered = [], set[str]()
        for file in sorted(files, key=lambda file: -int(file.starts[-1])):
            names = [shard.name for shard in file.shards]
            live = np.array([n in self._start_of and n not in covered for n in names], bool)
            covered.update(names)
            if live.any():
                sources.append(_Source(file, live, self._numbering(file.shards)))
        return tuple(sources)

    def _numbering(self, shards: Sequence[ShardEntry | Covered]) -> _Numbering:
        starts = row_starts(shard.rows for shard in shards)
        mine = np.array([self._start_of.get(shard.name, 0) for shard in shards], np.int64)
        return _Numbering(starts, mine - starts[:-1])

    def _uncovered(self, sources: Sequence[_Source]) -> tuple[ShardEntry, ...]:
        """Shards of the index that no source covers."""
        covered = {shard.name for source in sources for shard in source.file.shards}
        return tuple(shard for shard in self._index.shards if shard.name not in covered)

    def _expect_shards(self) -> None:
        """Say now if a shard is gone whose hashes need not be read."""
        folder = self._reader.folder / SHARDS_NAME
        with storage_errors("list", folder):
            there = set(os.listdir(folder)) if folder.is_dir() else set()  # noqa: PTH208 - names
        for name in self._start_of:
            if name not in there:
                raise ShardGoneError(folder / name, self._reader.folder)
