"""Reading some rows of a shard, verified page by page instead of all at once.

``derived/<shard>.pages`` holds the CRC-32 of every 4 KiB page of a shard's file and where its
embeddings start. It is made from an image whose SHA-256 and structure were just verified.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featx.files import OddFileError, read_bounded
from featx.store.derived import DERIVED_NAME, DerivedError, discard, seal, unseal, write_derived
from featx.store.index import SHARD_PATTERN, ShardEntry
from featx.store.pages import PAGE_BYTES, batches, page_sums, read_into, read_pages, spanned

#: Smaller shards are read and verified whole: that costs less than another file.
MIN_BYTES = 2**20
PAGES_PATTERN = re.compile(SHARD_PATTERN.pattern.replace("h5", "pages"))
_KIND = "featx-pages"


@dataclass(frozen=True)
class ShardPages:
    """How to read a part of one shard.

    Parameters
    ----------
    embedding_offset : int
        First byte of the embeddings.
    sums : ndarray of shape (n_pages,), uint32, or None
        CRC-32 of each page; None where the file is known to be good.
    """

    embedding_offset: int
    sums: np.ndarray | None = None


def has_pages(entry: ShardEntry) -> bool:
    """Whether a shard is large enough for the sums of its pages to be kept."""
    return entry.size_bytes >= MIN_BYTES


def pages_path(folder: Path, shard_name: str) -> Path:
    """Where the sums of a shard's pages are."""
    return folder / DERIVED_NAME / f"{shard_name.removesuffix('.h5')}.pages"


def keep_pages(
    folder: Path, entry: ShardEntry, image: bytes | memoryview, embedding_offset: int
) -> None:
    """Write the sums of a verified shard's pages, if the disk takes them."""
    header = {"shard": entry.name, "embedding_offset": embedding_offset}
    data = seal(_KIND, header, page_sums(image).tobytes())
    write_derived(pages_path(folder, entry.name), data)


def discard_pages(folder: Path, entry: ShardEntry) -> None:
    """Remove the sums of a shard's pages, if it has any."""
    if has_pages(entry):
        discard(pages_path(folder, entry.name))


def load_pages(folder: Path, entry: ShardEntry, n_features: int) -> ShardPages | None:
    """The sums of a shard's pages, or None where there are none that can be used."""
    if not has_pages(entry):
        return None
    n_pages = -(-entry.size_bytes // PAGE_BYTES)
    try:
        data = read_bounded(pages_path(folder, entry.name), 4 * n_pages + 4096)
        header, payload = unseal(_KIND, data)
    except (OSError, OddFileError, DerivedError):
        return None
    offset = header.get("embedding_offset")
    if (
        type(offset) is not int
        or not 0 <= offset <= entry.size_bytes - 4 * n_features * entry.rows
        or header.get("shard") != entry.name
        or len(payload) != 4 * n_pages
    ):
        return None
    return ShardPages(offset, np.frombuffer(payload, "<u4"))


def read_rows(
    handle: int,
    pages: ShardPages,
    rows: np.ndarray,
    out: np.ndarray,
    at: np.ndarray,
) -> None:
    """Read rows of an open shard into ``out[at]``.

    Parameters
    ----------
    handle : int
    pages : ShardPages
    rows : ndarray of shape (n,), int64
        Ascending; a row may occur twice.
    out : ndarray of shape (any, n_features), float32
    at : ndarray of shape (n,), int64
        Rows of ``out``, as many.

    Raises
    ------
    DerivedError
        A page does not match its sum.
    OSError
    """
    width = 4 * out.shape[1]
    where = as_slice(at)
    if pages.sums is None and isinstance(where, slice) and isinstance(as_slice(rows), slice):
        view = out[where].data.cast("B")
        read_into(handle, view, pages.embedding_offset + int(rows[0]) * width)
        return
    start = pages.embedding_offset + rows * width
    first, last = start // PAGE_BYTES, (start + width - 1) // PAGE_BYTES
    scratch = np.empty((0, PAGE_BYTES), np.uint8)
    for part in batches(first, last):
        wanted = spanned(first[part], last[part])
        if len(scratch) < len(wanted):
            scratch = np.empty((len(wanted), PAGE_BYTES), np.uint8)
        block = read_pages(handle, wanted, pages.sums, scratch)
        byte = np.searchsorted(wanted, first[part]) * PAGE_BYTES + start[part] % PAGE_BYTES
        out[as_slice(at[part])] = _rows_at(block, byte, width)


def _rows_at(block: np.ndarray, byte: np.ndarray, width: int) -> np.ndarray:
    """float32 rows that start at the given bytes, which agree modulo 4."""
    shift = int(byte[0]) % 4
    flat = block.reshape(-1)[shift:]
    flat = flat[: len(flat) - len(flat) % 4].view("<f4")
    element = (byte - shift) // 4
    n_features = width // 4
    if (np.diff(byte) == width).all():
        return flat[element[0] : element[0] + len(byte) * n_features].reshape(-1, n_features)
    return np.lib.stride_tricks.sliding_window_view(flat, n_features)[element]


def as_slice(numbers: np.ndarray) -> slice | np.ndarray:
    """The same numbers as a slice where they ascend by one, which copies faster."""
    if (np.diff(numbers) == 1).all():
        return slice(int(numbers[0]), int(numbers[-1]) + 1)
    return numbers
