"""Pages of 4 KiB, each under its own CRC-32: reading a part of a file and still verifying it.

A file's SHA-256 can only be checked by reading all of it. CRC-32 (zlib's) of a page finds every
burst of up to 32 flipped bits and misses other damage to that page with probability 2^-32.
"""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterator

import numpy as np

from featx.store.derived import DerivedError

PAGE_BYTES = 4096
#: Pages held at once: small enough to stay in the processor's cache between read, check and copy.
BATCH_PAGES = 256


class Scratch:
    """Memory that is used again and again: new pages from the system cost more than reading."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def take(self, size: int) -> memoryview:
        """``size`` bytes of any content, valid until the next call."""
        if len(self._memory) < size:
            self._memory = np.empty(size, np.uint8)
        return self._memory[:size].data


def page_sums(data: bytes | memoryview) -> np.ndarray:
    """CRC-32 of every page, the last one padded with zeros; (n_pages,) uint32."""
    view = memoryview(data)
    whole = len(view) - len(view) % PAGE_BYTES
    sums = [zlib.crc32(view[at : at + PAGE_BYTES]) for at in range(0, whole, PAGE_BYTES)]
    if whole < len(view):
        sums.append(zlib.crc32(bytes(view[whole:]).ljust(PAGE_BYTES, b"\0")))
    return np.array(sums, "<u4")


def read_pages(
    handle: int, pages: np.ndarray, sums: np.ndarray | None, out: np.ndarray | None = None
) -> np.ndarray:
    """Read pages of an open file and check them.

    Parameters
    ----------
    handle : int
    pages : ndarray of shape (n,), int64
        Ascending, distinct. What lies beyond the file's end reads as zeros.
    sums : ndarray of shape (n_pages,), uint32, or None
        Of the whole file; None where the file is known to be good.
    out : ndarray of shape (at least n, 4096), uint8, optional
        Where to read them to.

    Returns
    -------
    ndarray of shape (n, 4096), uint8

    Raises
    ------
    DerivedError
        A page does not match its sum: the file is damaged, or its sums are.
    OSError
    """
    if out is None:
        out = np.empty((len(pages), PAGE_BYTES), np.uint8)
    out = out[: len(pages)]
    view = out.reshape(-1).data
    breaks = (np.flatnonzero(np.diff(pages) != 1) + 1).tolist()
    runs = list(itertools.pairwise([0, *breaks, len(pages)]))
    if len(runs) > 1:
        _announce(handle, pages, runs)
    for start, stop in runs:
        run = view[start * PAGE_BYTES : stop * PAGE_BYTES]
        read_into(handle, run, int(pages[start]) * PAGE_BYTES)
    if sums is not None:
        found = [zlib.crc32(view[at : at + PAGE_BYTES]) for at in range(0, len(view), PAGE_BYTES)]
        if pages[-1] >= len(sums) or not np.array_equal(found, sums[pages]):
            raise DerivedError("a page does not match its CRC-32")
    return out


def _announce(handle: int, pages: np.ndarray, runs: list[tuple[int, int]]) -> None:
    """Let the disk work on all runs at once instead of one after the other."""
    if hasattr(os, "posix_fadvise"):
        for start, stop in runs:
            offset, size = int(pages[start]) * PAGE_BYTES, (stop - start) * PAGE_BYTES
            os.posix_fadvise(handle, offset, size, os.POSIX_FADV_WILLNEED)


def read_into(handle: int, view: memoryview, offset: int) -> None:
    """Fill ``view`` from a byte of an open file on; with zeros from where the file ends."""
    while view:
        n = os.preadv(handle, [view], offset)
        if n == 0:
            view[:] = bytes(len(view))
            return
        view, offset = view[n:], offset + n


def expect_random(handle: int) -> None:
    """Tell the system not to read ahead, where it can be told."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_RANDOM)


def spanned(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Distinct pages of the spans ``first[i]..last[i]``, which ascend and may overlap."""
    if len(first) == 1:
        return np.arange(first[0], last[0] + 1)
    start, added = _added(first, last)
    ends = np.cumsum(added)
    return np.arange(ends[-1]) + np.repeat(start - (ends - added), added)


def batches(first: np.ndarray, last: np.ndarray) -> Iterator[slice]:
    """Cut ascending spans of pages into stretches of about `BATCH_PAGES` distinct pages."""
    if len(first) and last[-1] - first[0] < BATCH_PAGES:
        yield slice(0, len(first))
        return
    _, added = _added(first, last)
    number = (np.cumsum(added) - 1) // BATCH_PAGES
    cuts = (np.flatnonzero(np.diff(number)) + 1).tolist()
    for start, stop in itertools.pairwise([0, *cuts, len(first)]):
        if start < stop:
            yield slice(start, stop)


def _added(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each span, the first page that no earlier span has, and how many such pages it has."""
    start = first.copy()
    np.maximum(first[1:], last[:-1] + 1, out=start[1:])
    return start, last - start + 1
