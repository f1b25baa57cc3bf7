"""One shard: an immutable HDF5 file of image hashes and their embeddings.

Datasets ``sha256`` (rows, 32) and ``pixels`` (rows, 16) uint8 and ``embedding`` (rows, n_features)
float32 little-endian, each one chunk with fletcher32; shards of version 1 have no ``pixels``.
Attributes ``format_version`` uint32 and ``fingerprint`` S64. Nothing else may be in it. Because
each dataset is one uncompressed chunk, its rows lie in one block of the file: once the file's
digest and structure are verified, rows are read from there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featx.errors import CorruptStoreError
from featx.files import OddFileError, open_regular, read_bounded, read_range, write_atomic
from featx.store.derived import DerivedError
from featx.store.faults import corrupt, storage_errors
from featx.store.index import (
    FORMAT_VERSION,
    HASH_BYTES,
    MAX_SHARD_BYTES,
    PIXELS_BYTES,
    PLAIN_VERSION,
    SHARDS_NAME,
    Index,
    ShardEntry,
    parse_index,
)
from featx.store.pages import Scratch, expect_random, read_into
from featx.store.partial import (
    ShardPages,
    as_slice,
    discard_pages,
    has_pages,
    keep_pages,
    load_pages,
    read_rows,
)
from featx.store.structure import StructureError, inspect_image

SHARD_BYTES = 64 * 2**20


def rows_per_shard(n_features: int) -> int:
    """How many rows a full shard holds."""
    return max(1, SHARD_BYTES // (HASH_BYTES + PIXELS_BYTES + 4 * n_features))


def build_shard(
    hashes: np.ndarray, embeddings: np.ndarray, pixels: np.ndarray, fingerprint: str
) -> tuple[ShardEntry, bytes]:
    """Make a shard's HDF5 image in memory and the index entry that describes it.

    Parameters
    ----------
    hashes : ndarray of shape (rows, 32), uint8
    embeddings : ndarray of shape (rows, n_features), float32
    pixels : ndarray of shape (rows, 16), uint8
        Hash of each image's pixels; zeros where it is not known. A shard that knows none is of
        version 1.
    fingerprint : str
        The extractor's, 64 hexadecimal digits.

    Returns
    -------
    entry : ShardEntry
    image : bytes
        The file's content. Nothing has touched the disk: HDF5 must never see a disk that can
        fill up or a process that can die while it writes.
    """
    import h5py

    buffer = io.BytesIO()
    arrays = {"sha256": hashes, "pixels": pixels, "embedding": embeddings.astype("<f4")}
    version = FORMAT_VERSION
    if not pixels.any():
        version = PLAIN_VERSION
        del arrays["pixels"]
    with h5py.File(buffer, "w", libver=("v110", "v110")) as file:
        file.attrs["format_version"] = np.uint32(version)
        file.attrs["fingerprint"] = np.bytes_(fingerprint)
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=array.shape, fletcher32=True)
    image = buffer.getvalue()
    token = f"-{secrets.token_hex(4)}.h5"
    return describe_shard(image, token, embeddings.shape[1], fingerprint), image


def describe_shard(image: bytes, token: str, n_features: int, fingerprint: str) -> ShardEntry:
    """The index entry of a shard's image, whose name is its digest and ``token``.

    Raises
    ------
    StructureError
        The image is not a shard of this extractor.
    """
    block = inspect_image(image, n_features, fingerprint)
    digest = hashlib.sha256(image).hexdigest()

    def digest_at(offset: int, width: int) -> str:
        return hashlib.sha256(image[offset : offset + block.rows * width]).hexdigest()

    return ShardEntry(
        name=f"{digest[:32]}{token}",
        rows=block.rows,
        size_bytes=len(image),
        sha256=digest,
        hashes_offset=block.hashes_offset,
        hashes_sha256=digest_at(block.hashes_offset, HASH_BYTES),
        pixels_offset=block.pixels_offset,
        pixels_sha256=(digest_at(block.pixels_offset, PIXELS_BYTES) if block.pixels_offset else ""),
    )


@dataclass(frozen=True)
class _Verified:
    """A shard found good: where its embeddings lie, and how to know the file is still that one."""

    identity: tuple[int, int, int, int]
    embedding_offset: int


class ShardGoneError(CorruptStoreError):
    """A shard that an index names is not there; that index may be old by now."""

    def __init__(self, path: Path, folder: Path) -> None:
        fault = corrupt(path, folder, "it is gone, but the index names it")
        super().__init__(fault.message, hint=fault.hint)


class ShardReader:
    """Reads the shards of one extractor strictly.

    Whatever is read is verified: pages by their sums (`partial`), whole shards by their digest
    and structure. A shard that was found good is verified again only if its file has changed.

    Parameters
    ----------
    folder : Path
        The extractor's folder.
    fingerprint : str
        The extractor's.
    n_features : int
        Width of one embedding.
    """

    def __init__(self, folder: Path, fingerprint: str, n_features: int) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.n_features = n_features
        self._verified: dict[str, _Verified] = {}

    def parse_index(self, data: bytes | None) -> Index:
        """The index that a file holds; an empty one for None, where there is no file."""
        if data is None:
            return Index(self.fingerprint, self.n_features)
        return parse_index(data, self.folder, self.fingerprint, self.n_features)

    def path(self, entry: ShardEntry) -> Path:
        """Where the shard's file is."""
        return self.folder / SHARDS_NAME / entry.name

    def hashes(self, entry: ShardEntry) -> np.ndarray:
        """The shard's image hashes, (rows, 32) uint8, verified by their own digest.

        Raises
        ------
        ShardGoneError
            The file is gone; the index may have moved on (see `EmbeddingStore.refresh`).
        CorruptStoreError
            They are not what was written.
        StoreError
            The file cannot be read for a reason that says nothing about it.
        """
        at = entry.hashes_offset, HASH_BYTES
        return self._block(entry, *at, entry.hashes_sha256, "image hashes")

    def pixels(self, entry: ShardEntry) -> np.ndarray:
        """The hashes of the images' pixels, as `hashes`; zeros where they are not known."""
        if not entry.pixels_offset:
            return np.zeros((entry.rows, PIXELS_BYTES), np.uint8)
        at = entry.pixels_offset, PIXELS_BYTES
        return self._block(entry, *at, entry.pixels_sha256, "hashes of pixels")

    def _block(
        self, entry: ShardEntry, offset: int, width: int, sha256: str, what: str
    ) -> np.ndarray:
        with self._opened(entry) as handle:
            block = read_range(handle, offset, entry.rows * width)
        if hashlib.sha256(block).hexdigest() != sha256:
            raise self._corrupt(entry, f"its {what} do not match the index")
        return np.frombuffer(block, np.uint8).reshape(entry.rows, width)

    def read(
        self,
        entry: ShardEntry,
        rows: np.ndarray,
        out: np.ndarray,
        at: np.ndarray,
        scratch: Scratch | None = None,
    ) -> None:
        """Read embeddings into ``out[at]``.

        Only the pages that hold them are read where the sums of the shard's pages are at hand or
        the shard is known to be good; else all of it.

        Parameters
        ----------
        entry : ShardEntry
        rows : ndarray of shape (n,), int64
            Row numbers in the shard, ascending; a row may occur twice.
        out : ndarray of shape (any, n_features), float32
        at : ndarray of shape (n,), int64
        scratch : Scratch, optional
            Memory to use for a whole shard.

        Raises
        ------
        ShardGoneError, CorruptStoreError, StoreError
            As for `hashes`.
        """
        with self._opened(entry) as handle:
            identity = _identity(handle)
            known = self._verified.get(entry.name)
            if known is not None and known.identity == identity:
                read_rows(handle, ShardPages(known.embedding_offset), rows, out, at)
                if _identity(handle) != identity:
                    raise self._corrupt(entry, "it changed during reading")
                return
            pages = load_pages(self.folder, entry, self.n_features)
            if pages is not None:
                every = len(rows) == entry.rows and bool((np.diff(rows) == 1).all())
                if not every:
                    expect_random(handle)
                try:
                    read_rows(handle, pages, rows, out, at)
                except DerivedError:
                    # The shard is damaged, or its sums are: the SHA-256 of all of it tells.
                    discard_pages(self.folder, entry)
                else:
                    if every:
                        self._verified[entry.name] = _Verified(identity, pages.embedding_offset)
                    return
            view = (scratch or Scratch()).take(entry.size_bytes)
            read_into(handle, view, 0)
            block = self._verify(entry, handle, view)
            out[as_slice(at)] = block[as_slice(rows)]

    def write(self, entry: ShardEntry, image: bytes) -> None:
        """Write what `build_shard` made; durable when this returns.

        Raises
        ------
        StoreError
            The disk is full or cannot be written; nothing was written.
        """
        with storage_errors("write", self.path(entry)):
            write_atomic(self.path(entry), image)
        if has_pages(entry):
            layout = inspect_image(image, self.n_features, self.fingerprint)
            keep_pages(self.folder, entry, image, layout.embedding_offset)

    def remove(self, entry: ShardEntry) -> None:
        """Remove a shard's file and what was derived from it; raises OSError."""
        self.path(entry).unlink()
        discard_pages(self.folder, entry)

    def verify(self, entry: ShardEntry) -> np.ndarray:
        """Check a whole shard now and return all its embeddings; raises as `rows` does."""
        with self._opened(entry) as handle:
            return self._verify(entry, handle, read_range(handle, 0, entry.size_bytes))

    def identify(self, name: str) -> ShardEntry:
        """The index entry of a shard that need not be indexed, verified by the digest in its name.

        Raises
        ------
        StructureError
            There is no such file, or it is not a whole shard of this extractor.
        StoreError
            The file cannot be read for a reason that says nothing about it.
        """
        path = self.folder / SHARDS_NAME / name
        with storage_errors("read", path):
            try:
                image = read_bounded(path, MAX_SHARD_BYTES)
            except FileNotFoundError:
                raise StructureError("it is not there") from None
            except OddFileError as error:
                raise StructureError(str(error.strerror)) from None
        entry = describe_shard(image, name[32:], self.n_features, self.fingerprint)
        if entry.name != name:
            raise StructureError("its SHA-256 does not match its name")
        return entry

    @contextlib.contextmanager
    def _opened(self, entry: ShardEntry) -> Iterator[int]:
        """A descriptor of the shard's file. Only damage is called damage: a repair drops it.

        Too many open files or no permission say nothing about the shard.
        """
        path = self.path(entry)
        with storage_errors("read", path):
            try:
                handle = open_regular(path)
            except OddFileError as error:
                raise self._corrupt(entry, str(error.strerror)) from None
            except FileNotFoundError as error:
                raise ShardGoneError(path, self.folder) from error
        try:
            size_bytes = os.fstat(handle).st_size
            if size_bytes != entry.size_bytes:
                raise self._corrupt(entry, f"{size_bytes} bytes instead of {entry.size_bytes}")
            yield handle
        except OSError as error:
            if error.errno == errno.EIO:
                raise self._corrupt(entry, "the disk cannot read it") from error
            with storage_errors("read", path):
                raise
        finally:
            os.close(handle)

    def _verify(self, entry: ShardEntry, handle: int, image: bytes | memoryview) -> np.ndarray:
        """Check all of a shard's bytes; its embeddings, which share their memory."""
        self._verified.pop(entry.name, None)
        identity = _identity(handle)
        if hashlib.sha256(image).hexdigest() != entry.sha256:
            raise self._corrupt(entry, "its SHA-256 does not match the index")
        offset = self._inspect(entry, image)
        self._verified[entry.name] = _Verified(identity, offset)
        block = np.frombuffer(image, "<f4", entry.rows * self.n_features, offset)
        return block.reshape(entry.rows, self.n_features)

    def _inspect(self, entry: ShardEntry, image: bytes | memoryview) -> int:
        """Check a shard's structure; where its embeddings start."""
        try:
            found = inspect_image(image, self.n_features, self.fingerprint)
        except StructureError as error:
            raise self._corrupt(entry, str(error)) from None
        offsets = (found.hashes_offset, found.pixels_offset)
        if (found.rows, *offsets) != (entry.rows, entry.hashes_offset, entry.pixels_offset):
            raise self._corrupt(
                entry,
                f"{found.rows} rows with hashes at bytes {offsets}, but the index "
                f"says {entry.rows} at {entry.hashes_offset, entry.pixels_offset}",
            )
        if has_pages(entry) and load_pages(self.folder, entry, self.n_features) is None:
            keep_pages(self.folder, entry, image, found.embedding_offset)
        return found.embedding_offset

    def _corrupt(self, entry: ShardEntry, reason: str) -> CorruptStoreError:
        return corrupt(self.path(entry), self.folder, reason)


def _identity(handle: int) -> tuple[int, int, int, int]:
    status = os.fstat(handle)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
