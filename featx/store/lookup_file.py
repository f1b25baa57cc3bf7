"""``derived/*.lookup``: rows by hash for many of a store's shards, searched on the disk.

Sorted records (see `records`) in pages of 4 KiB, 102 to a page, so that a hash costs one page.
After them stand, under one seal, the shards that the file covers, and of every page its first
word and its CRC-32: 12 bytes for 102 rows is all that is kept in memory. A shard's name never
stands for other rows, so an old file covers fewer shards than the index names, or some that are
gone, but is never wrong about the others.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import struct
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx.files import (
    OddFileError,
    atomic_path,
    make_directory,
    open_regular,
    read_range,
    write_all,
)
from featx.store.derived import DERIVED_NAME, DerivedError, discard, seal, unseal
from featx.store.index import row_starts
from featx.store.pages import PAGE_BYTES, batches, expect_random, page_sums, read_pages, spanned
from featx.store.records import RECORD_WORDS, as_hashes, as_words, distinct

LOOKUP_PATTERN = re.compile(r"[0-9a-f]{16}\.lookup")
_KIND = "featx-lookup"
_PAGE_RECORDS = PAGE_BYTES // (8 * RECORD_WORDS)
_USED_WORDS = _PAGE_RECORDS * RECORD_WORDS
_TRAILER = struct.Struct("<Q8s")
_MAGIC = b"featxlkp"
_MAX_FOOTER_BYTES = 2**30
_RANGE_RECORDS = 2**20
_LIST_ATTEMPTS = 5


@dataclass(frozen=True)
class Covered:
    """A shard as the lookup file counts it."""

    name: str
    rows: int


class LookupFile:
    """An open lookup file.

    Parameters
    ----------
    path : Path
    fingerprint : str
        The extractor's.

    Raises
    ------
    OSError, DerivedError
        It cannot be used.

    Attributes
    ----------
    shards : list of Covered
        What it covers; its rows are numbered through these.
    starts : ndarray of shape (len(shards) + 1,), int64
        First row number of each, and the total.
    n_distinct : int
        Different hashes among all its records.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self._handle = open_regular(path)
        weakref.finalize(self, os.close, self._handle)
        expect_random(self._handle)
        header, payload, footer_offset = _read_footer(self._handle)
        try:
            if header["fingerprint"] != fingerprint:
                raise DerivedError("it belongs to another extractor")
            self.shards = [Covered(str(name), int(rows)) for name, rows in header["shards"]]
            self._n_records, self.n_distinct = int(header["records"]), int(header["distinct"])
            n_pages = -(-self._n_records // _PAGE_RECORDS)
            self._fences = np.frombuffer(payload, "<u8", n_pages)
            self._sums = np.frombuffer(payload, "<u4", n_pages, 8 * n_pages)
        except (KeyError, TypeError, ValueError):
            raise DerivedError("its header does not fit") from None
        self.starts = row_starts(shard.rows for shard in self.shards)
        if self._n_records != self.starts[-1] or footer_offset != n_pages * PAGE_BYTES:
            raise DerivedError("it does not have a record for every row")

    def find(self, wanted: np.ndarray, live: np.ndarray | None = None) -> np.ndarray:
        """Row number of each of ``wanted`` (m, 32) uint8; (m,) int64, -1 where absent.

        Parameters
        ----------
        wanted : ndarray of shape (m, 32), uint8
        live : ndarray of shape (len(shards),), bool, optional
            Shards whose rows count; all of them by default.

        Raises
        ------
        DerivedError
            The file is damaged.
        """
        words = as_words(wanted)
        found = np.full(len(words), -1, np.int64)
        pending = np.argsort(words[:, 0], kind="stable")
        prefixes = words[pending, 0]
        # The first record of a prefix stands in the page before the first that starts with it,
        # or at the start of that one.
        page = np.maximum(np.searchsorted(self._fences, prefixes) - 1, 0)
        while len(pending) and len(self._fences):
            for part in batches(page, page):
                numbers = pending[part]
                records = self._read(spanned(page[part], page[part]))
                found[numbers] = self._match(records, words[numbers], live)
            page = page + 1
            # A prefix that fills a page to its end may go on in the next one.
            more = (found[pending] < 0) & (page < len(self._fences))
            more[more] = self._fences[page[more]] == words[pending[more], 0]
            pending, page = pending[more], page[more]
        return found

    def _match(self, records: np.ndarray, words: np.ndarray, live: np.ndarray | None) -> np.ndarray:
        """Row numbers, from some of the records, of words that are sorted as they are."""
        prefixes = np.ascontiguousarray(records[:, 0])
        position = np.searchsorted(prefixes, words[:, 0])
        found = np.full(len(words), -1, np.int64)
        pending = np.arange(len(words))
        while len(pending):
            pending = pending[position[pending] < len(prefixes)]
            pending = pending[prefixes[position[pending]] == words[pending, 0]]
            candidates = records[position[pending]]
            match = (candidates[:, 1:4] == words[pending, 1:]).all(axis=1)
            if live is not None:
                match &= live[self.shard_of(candidates)]
            found[pending[match]] = candidates[match, 4].astype(np.int64)
            pending = pending[~match]
            position[pending] += 1
        return found

    def distinct(self, live: np.ndarray) -> Iterator[np.ndarray]:
        """The different hashes among the rows of ``live`` shards, in parts of (m, 32) uint8."""
        n_ranges = max(1, self._n_records // _RANGE_RECORDS)
        bounds = [2**64 * i // n_ranges for i in range(n_ranges + 1)]
        for low, high in itertools.pairwise(bounds):
            records = self.between(low, high)
            yield as_hashes(distinct(records[live[self.shard_of(records)]]))

    def shard_of(self, records: np.ndarray) -> np.ndarray:
        """Which of ``shards`` each record's row is in; (m,) int64."""
        rows = records[:, 4].astype(np.int64)
        return np.searchsorted(self.starts, rows, side="right") - 1

    def between(self, low: int, high: int) -> np.ndarray:
        """Records with ``low <= word 0 < high``, sorted by it; (m, 5) uint64."""
        fences = self._fences
        start = max(int(np.searchsorted(fences, np.uint64(low))) - 1, 0)
        stop = int(np.searchsorted(fences, np.uint64(high))) if high < 2**64 else len(fences)
        if start >= stop:
            return np.empty((0, RECORD_WORDS), np.uint64)
        records = self._read(np.arange(start, stop))
        above = records[:, 0] >= np.uint64(low)
        return records[above & (records[:, 0] < high)] if high < 2**64 else records[above]

    def _read(self, pages: np.ndarray) -> np.ndarray:
        """The records of ascending pages, checked."""
        try:
            block = read_pages(self._handle, pages, self._sums)
        except (OSError, DerivedError) as error:
            discard(self.path)
            raise DerivedError(str(error)) from None
        records = block.view("<u8")[:, :_USED_WORDS].reshape(-1, RECORD_WORDS)
        if pages[-1] == len(self._fences) - 1:
            records = records[
                : len(records) - (len(self._fences) * _PAGE_RECORDS - self._n_records)
            ]
        if len(records) and records[:, 4].max() >= self._n_records:
            raise DerivedError("a row number is out of range")
        return records


def open_lookups(
    folder: Path, fingerprint: str, known: Sequence[LookupFile] = ()
) -> list[LookupFile]:
    """An extractor's lookup files, the largest first; those of ``known`` are not opened again.

    One that cannot be used is removed.
    """
    opened = {file.path.name: file for file in known}
    place = folder / DERIVED_NAME
    for _ in range(_LIST_ATTEMPTS):
        try:
            names = sorted(os.listdir(place))  # noqa: PTH208 - names only
        except OSError:
            return []
        files = []
        try:
            for name in filter(LOOKUP_PATTERN.fullmatch, names):
                try:
                    file = opened.get(name) or LookupFile(place / name, fingerprint)
                    files.append(file)
                except (DerivedError, OddFileError):
                    discard(place / name)
        except FileNotFoundError:  # merged into another one since it was listed
            continue
        except OSError:
            return []
        return sorted(files, key=lambda file: -file.starts[-1])
    return []


def _read_footer(handle: int) -> tuple[dict[str, Any], bytes, int]:
    """Header, payload and the byte where the footer starts."""
    size = os.fstat(handle).st_size
    trailer = read_range(handle, max(size - _TRAILER.size, 0), _TRAILER.size)
    if len(trailer) != _TRAILER.size:
        raise DerivedError("it is too short")
    length, magic = _TRAILER.unpack(trailer)
    if magic != _MAGIC or length > min(size, _MAX_FOOTER_BYTES):
        raise DerivedError("its end is not valid")
    offset = size - _TRAILER.size - length
    if offset < 0:
        raise DerivedError("it is too short")
    return *unseal(_KIND, read_range(handle, offset, length)), offset


def write_lookup(
    folder: Path, fingerprint: str, shards: Sequence[Covered], parts: Iterator[np.ndarray]
) -> Path:
    """Write a lookup file, whole or not at all.

    Parameters
    ----------
    folder : Path
        The extractor's.
    fingerprint : str
    shards : sequence of Covered
        What it covers, in the order in which its rows are numbered.
    parts : iterator of ndarray of shape (m, 5), uint64
        All records, sorted by word 0. Two with the same word 0 are in the same part.

    Returns
    -------
    Path

    Raises
    ------
    OSError
        The disk is full or cannot be written.
    """
    path = folder / DERIVED_NAME / f"{secrets.token_hex(8)}.lookup"
    make_directory(path.parent)
    with atomic_path(path) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            fences, sums, n_records, n_distinct = _write_pages(handle, parts)
            header = {
                "fingerprint": fingerprint,
                "shards": [[shard.name, shard.rows] for shard in shards],
                "records": n_records,
                "distinct": n_distinct,
            }
            footer = seal(_KIND, header, fences.astype("<u8").tobytes() + sums.tobytes())
            write_all(handle, footer + _TRAILER.pack(len(footer), _MAGIC))
        finally:
            os.close(handle)
    return path


def _write_pages(
    handle: int, parts: Iterator[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Write all records; first words and sums of the pages, records, different hashes."""
    fences, sums = [np.empty(0, np.uint64)], [np.empty(0, "<u4")]
    n_records, n_distinct = 0, 0
    kept = np.empty((0, RECORD_WORDS), np.uint64)  # what does not fill a page yet
    for part in itertools.chain(parts, [None]):
        if part is not None:
            n_distinct += len(distinct(part))
            n_records += len(part)
            kept = np.concatenate([kept, part])
        n_pages = len(kept) // _PAGE_RECORDS if part is not None else -(-len(kept) // _PAGE_RECORDS)
        full, kept = np.split(kept, [n_pages * _PAGE_RECORDS])
        flat = np.zeros(n_pages * _USED_WORDS, "<u8")
        flat[: full.size] = full.reshape(-1)
        pages = np.zeros((n_pages, PAGE_BYTES // 8), "<u8")
        pages[:, :_USED_WORDS] = flat.reshape(n_pages, _USED_WORDS)
        fences.append(full[::_PAGE_RECORDS, 0])
        data = pages.reshape(-1).view(np.uint8).data
        sums.append(page_sums(data))
        write_all(handle, data)
    return np.concatenate(fences), np.concatenate(sums), n_records, n_distinct
