"""Where each image's embedding is: the lookup file for most shards, memory for the few others."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from featx.store.derived import DerivedError, discard
from featx.store.faults import storage_errors
from featx.store.in_order import find_in_order
from featx.store.index import HASH_BYTES, SHARDS_NAME, Index, ShardEntry
from featx.store.lookup import Lookup, first_rows
from featx.store.lookup_build import build_lookup
from featx.store.lookup_file import Covered, LookupFile, lookup_path, open_lookup
from featx.store.shard import ShardGoneError, ShardReader

__all__ = ["RowMap"]

#: Rows outside the lookup file from which it is made anew, or an eighth of those in it if more.
MIN_ROWS = 2**16
_SHARE = 8
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
        if not self.shift.any():
            return rows
        return rows + self.shift[np.searchsorted(self.starts, rows, side="right") - 1]


@dataclass(frozen=True)
class _View:
    """What a `RowMap` searches.

    Parameters
    ----------
    base : LookupFile or None
    live : ndarray of shape (n covered shards,), bool, or None
        Which of the file's shards the index names; None where it names all.
    base_numbering : _Numbering
    recent : tuple of ShardEntry
        The index's other shards.
    lookup : Lookup
        Over the rows of ``recent``.
    recent_numbering : _Numbering
    """

    base: LookupFile | None
    live: np.ndarray | None
    base_numbering: _Numbering
    recent: tuple[ShardEntry, ...]
    lookup: Lookup
    recent_numbering: _Numbering

    def find(self, wanted: np.ndarray) -> np.ndarray:
        """As `RowMap.find`; raises DerivedError where the lookup file is damaged."""
        found = np.full(len(wanted), -1, np.int64)
        if self.base is not None:
            rows = self.base.find(wanted, self.live)
            hit = rows >= 0
            found[hit] = self.base_numbering(rows[hit])
        if self.recent:
            left = np.flatnonzero(found < 0)
            rows = self.lookup.find(wanted[left])
            hit = rows >= 0
            found[left[hit]] = self.recent_numbering(rows[hit])
        return found

    def n_distinct(self) -> int:
        """How many different hashes there are; raises as `find`."""
        if self.base is None:
            return self.lookup.n_distinct
        count = self.base.n_distinct if self.live is None else self.base.count_distinct(self.live)
        if self.recent:
            recent = self.lookup.hashes[first_rows(self.lookup.hashes)]
            count += int((self.base.find(recent, self.live) < 0).sum())
        return count

    def blocks(self) -> dict[str, np.ndarray]:
        """The hashes of each of ``recent``, by the shard's name."""
        bounds = itertools.pairwise(self.recent_numbering.starts.tolist())
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

    def __init__(self, reader: ShardReader, index: Index, previous: RowMap | None = None) -> None:
        self._reader = reader
        self._index = index
        self.starts = _starts(index.shards)
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
        known = self._view.blocks()
        blocks = [
            known[shard.name] if shard.name in known else self._reader.hashes(shard)
            for shard in self._index.shards
        ]
        hashes = np.concatenate([np.empty((0, HASH_BYTES), np.uint8), *blocks])
        return hashes if len(hashes) == self.n_distinct else hashes[first_rows(hashes)]

    def _sound(self, ask: Callable[[_View], _T]) -> _T:
        """Ask; where the lookup file turns out damaged, make it anew, or do without."""
        for use_file in (True, False):
            try:
                return ask(self._view)
            except DerivedError:
                discard(lookup_path(self._reader.folder))
                self._view = self._load(None, use_file=use_file)
        return ask(self._view)

    def _load(self, previous: _View | None, *, use_file: bool = True) -> _View:
        base = self._lookup_file(previous) if use_file else None
        covered = [] if base is None else base.shards
        shift = np.array([self._start_of.get(shard.name, -1) for shard in covered], np.int64)
        live = shift >= 0
        starts = _starts(covered)
        names = {shard.name for shard in covered}
        recent = tuple(shard for shard in self._index.shards if shard.name not in names)
        known = {} if previous is None else previous.blocks()
        hashes = [
            known[shard.name] if shard.name in known else self._reader.hashes(shard)
            for shard in recent
        ]
        grown = previous is not None and recent[: len(previous.recent)] == previous.recent
        lookup = Lookup(
            np.concatenate([np.empty((0, HASH_BYTES), np.uint8), *hashes]),
            previous.lookup if previous is not None and grown else None,
        )
        recent_starts = _starts(recent)
        recent_shift = np.array([self._start_of[shard.name] for shard in recent], np.int64)
        return _View(
            base,
            None if live.all() else live,
            _Numbering(starts, shift - starts[:-1]),
            recent,
            lookup,
            _Numbering(recent_starts, recent_shift - recent_starts[:-1]),
        )

    def _lookup_file(self, previous: _View | None) -> LookupFile | None:
        """The lookup file, made anew first where it leaves too much to memory."""
        folder = self._reader.folder
        base = None if previous is None else previous.base
        if base is None or not base.is_current(folder):
            base = open_lookup(folder, self._reader.fingerprint)
        if self._should_build(base):
            try:
                build_lookup(self._reader, self._index, base)
            except DerivedError:  # what it started from is damaged: start from nothing
                discard(lookup_path(folder))
                return self._lookup_file(None)
            except OSError:  # a full disk or a read-only one: memory will do
                pass
            else:
                base = open_lookup(folder, self._reader.fingerprint)
        if base is not None:
            self._expect_shards(base)
        return base

    def _should_build(self, base: LookupFile | None) -> bool:
        covered = {} if base is None else {shard.name: shard.rows for shard in base.shards}
        left = sum(shard.rows for shard in self._index.shards if shard.name not in covered)
        return left > max(MIN_ROWS, sum(covered.values()) // _SHARE)

    def _expect_shards(self, base: LookupFile) -> None:
        """Say now if a shard whose hashes need not be read is gone."""
        folder = self._reader.folder / SHARDS_NAME
        with storage_errors("list", folder):
            there = set(os.listdir(folder)) if folder.is_dir() else set()  # noqa: PTH208 - names
        for name in (shard.name for shard in base.shards):
            if name in self._start_of and name not in there:
                raise ShardGoneError(folder / name, self._reader.folder)


def _starts(shards: Sequence[ShardEntry | Covered]) -> np.ndarray:
    """First row of each shard, and the total."""
    return np.cumsum([0, *(shard.rows for shard in shards)], dtype=np.int64)
