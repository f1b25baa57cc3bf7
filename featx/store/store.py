"""`EmbeddingStore`: the rows of one extractor, found by the SHA-256 of the image's bytes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from featx.errors import StoreError
from featx.files import fsync_directory
from featx.shell import shell_line
from featx.store.adoption import adopt_shards, unindexed_shards
from featx.store.checking import checked_embeddings, checked_hashes, checked_pixels
from featx.store.compaction import (
    Compaction,
    compact_shards,
    current_index,
    discard_unlisted,
    small_shards,
)
from featx.store.extractor import check_spec, create_folder, read_extractor
from featx.store.faults import storage_errors
from featx.store.gathering import gather_pixels, gather_rows
from featx.store.index import INDEX_NAME, Index, ShardEntry, write_index
from featx.store.lock import committer_lock
from featx.store.lookup import first_rows
from featx.store.shard import ShardGoneError, ShardReader, build_shard, rows_per_shard
from featx.store.snapshot import Snapshot, load_snapshot
from featx.types import ExtractorSpec

AUTO_COMPACT_SHARDS = 64
_READ_ATTEMPTS = 5
_T = TypeVar("_T")
_Gather = Callable[[ShardReader, Index, np.ndarray], np.ndarray]


class EmbeddingStore:
    """Embeddings of one extractor on disk.

    Any number of processes may read and add at once. Reading needs no lock and no write access.
    One object may be used by several threads.

    Use `open` with a specification, or `open_folder` with what is already in a cache.

    Attributes
    ----------
    spec : ExtractorSpec
        Whose embeddings these are.
    folder : Path
        ``<cache>/<backbone>-<fingerprint[:12]>``.
    """

    def __init__(self, folder: Path, spec: ExtractorSpec) -> None:
        self.spec = spec
        self.folder = folder
        self._reader = ShardReader(folder, spec.fingerprint, spec.n_features)
        self._guard = threading.RLock()
        self._created = False
        self._snapshot: Snapshot = load_snapshot(self._reader)

    @classmethod
    def open(cls, cache: str | Path, spec: ExtractorSpec, *, create: bool = True) -> EmbeddingStore:
        """Open the store of ``spec`` in ``cache``.

        Parameters
        ----------
        cache : path
            The cache folder.
        spec : ExtractorSpec
            The extractor.
        create : bool, default True
            Whether a store that does not exist yet is an empty one; its folder is made by the
            first `add`, so a read-only place is fine until then.

        Raises
        ------
        CorruptStoreError
            A file of the store is not what was written.
        StoreError
            There is no such store and ``create`` is False, or it cannot be read.
        """
        check_spec(spec)
        folder = Path(cache).expanduser().absolute() / spec.folder
        found = read_extractor(folder)
        if found is not None and found.fingerprint != spec.fingerprint:
            raise StoreError(
                f"{folder} belongs to extractor {found.fingerprint}, not {spec.fingerprint}.",
                hint="Use another folder with --cache.",
            )
        if found is None and not create and not (folder / INDEX_NAME).exists():
            raise StoreError(
                f"No embeddings of {spec.backbone} ({spec.folder}) in {folder.parent}.",
                hint="List the cached extractors with: "
                + shell_line("featx", "cache", "ls", "--cache", folder.parent),
            )
        store = cls(folder, spec)
        if found is None and store._snapshot.data is not None:
            with contextlib.suppress(StoreError):  # a read-only cache stays as it is
                create_folder(folder, spec)
        return store

    @classmethod
    def open_folder(cls, folder: str | Path) -> EmbeddingStore:
        """Open what is in one extractor's folder, by its own ``extractor.json``."""
        path = Path(folder).expanduser().absolute()
        spec = read_extractor(path)
        if spec is None:
            raise StoreError(f"{path} is not an extractor's folder: it has no extractor.json.")
        return cls(path, spec)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the specification, 64 hexadecimal digits."""
        return self._reader.fingerprint

    @property
    def n_features(self) -> int:
        """Width of one embedding."""
        return self._reader.n_features

    @property
    def shards(self) -> tuple[ShardEntry, ...]:
        """The index's entry of each shard, as last read."""
        return self._snapshot.index.shards

    @property
    def hashes(self) -> np.ndarray:
        """Distinct hashes in the order of the shards; (len(self), 32) uint8."""
        return self._steady(lambda snapshot: snapshot.rows.hashes())

    def __len__(self) -> int:
        """Number of images with an embedding."""
        return self._steady(lambda snapshot: snapshot.rows.n_distinct)

    def refresh(self) -> None:
        """See what other processes have committed since."""
        with self._guard:
            self._snapshot = load_snapshot(self._reader, self._snapshot)

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        """Which hashes have an embedding, as of the last `refresh`, `add` or opening.

        Parameters
        ----------
        hashes : ndarray of shape (n, 32), uint8

        Returns
        -------
        ndarray of shape (n,), bool
        """
        hashes = checked_hashes(hashes)
        return self._steady(lambda snapshot: snapshot.rows.find(hashes)) >= 0

    def gather(self, hashes: np.ndarray) -> np.ndarray:
        """Embeddings in the order asked; a hash may be asked for more than once.

        A shard is verified against the index when it is first read.

        Parameters
        ----------
        hashes : ndarray of shape (n, 32), uint8

        Returns
        -------
        ndarray of shape (n, n_features), float32

        Raises
        ------
        StoreError
            Some hashes have no embedding here; the message says how many.
        CorruptStoreError
            A shard is not what was written; the message names it and the command that repairs.
        """
        hashes = checked_hashes(hashes)
        return self._steady(lambda snapshot: self._read(snapshot, hashes, gather_rows))

    def pixels(self, hashes: np.ndarray) -> np.ndarray:
        """Hashes of the images' pixels in the order asked, (n, 16) uint8.

        Zeros for rows that were added without, such as those of format version 1; parameters and
        errors as for `gather`.
        """
        hashes = checked_hashes(hashes)
        return self._steady(lambda snapshot: self._read(snapshot, hashes, gather_pixels))

    def _steady(self, read: Callable[[Snapshot], _T]) -> _T:
        """Read; a compaction elsewhere may delete shards meanwhile: their rows are in a new one."""
        for _ in range(_READ_ATTEMPTS):
            snapshot = self._snapshot
            try:
                return read(snapshot)
            except ShardGoneError:
                self.refresh()
                if self._snapshot is snapshot:
                    raise
        raise StoreError(
            f"{self.folder} changed {_READ_ATTEMPTS} times while it was being read.",
            hint="Run the same command again.",
        )

    def _read(self, snapshot: Snapshot, hashes: np.ndarray, gather: _Gather) -> np.ndarray:
        rows = snapshot.rows.find(hashes)
        n_missing = int(np.count_nonzero(rows < 0))
        if n_missing:
            self.refresh()
            if self._snapshot is not snapshot:
                return self._read(self._snapshot, hashes, gather)
            raise StoreError(
                f"{n_missing} of {len(hashes)} images have no embedding in {self.folder}.",
                hint="Extract these images into this cache first.",
            )
        return gather(self._reader, snapshot.index, rows)

    def add(
        self, hashes: np.ndarray, embeddings: np.ndarray, pixels: np.ndarray | None = None
    ) -> None:
        """Add rows; they are durable when this returns.

        Rows whose hash is there already are ignored, also when given twice. Large additions are
        committed in several shards, each durable by itself.

        Parameters
        ----------
        hashes : ndarray of shape (n, 32), uint8
            SHA-256 of each image's bytes.
        embeddings : ndarray of shape (n, n_features), float32
            Finite.
        pixels : ndarray of shape (n, 16), uint8, optional
            Hash of each image's decoded pixels (`featx.data.hashing.pixel_hash`), by which images
            in different files are known to be equal; zeros, or None, where it is not known.

        Raises
        ------
        StoreError
            Wrong shape or type, a value that is not finite, a full disk or one that cannot be
            written. What was committed before is untouched.
        StoreLockedError
            Another process held the lock for too long.
        """
        hashes, embeddings, pixels = self._checked(hashes, embeddings, pixels)
        with self._guard:
            self.refresh()
            first = first_rows(hashes)
            new = first[~self.contains(hashes[first])]
            if len(new) < len(hashes) and self.folder.exists():
                # Whoever committed those rows may have died before syncing the index's name.
                with storage_errors("sync", self.folder):
                    fsync_directory(self.folder)
            for start in range(0, len(new), self.rows_per_shard):
                part = new[start : start + self.rows_per_shard]
                self._commit(hashes[part], embeddings[part], pixels[part])
                self.refresh()
        self._compact_when_many()

    def write_shard(
        self, hashes: np.ndarray, embeddings: np.ndarray, pixels: np.ndarray | None = None
    ) -> str:
        """Write rows to a shard of their own without indexing it: a worker's half of `add`.

        For many workers on shared storage with one committer: each worker writes shards and sends
        their names, which nobody else ever uses; the committer calls `adopt`. The shard is durable
        when this returns, but its rows belong to the store only once it is adopted. Takes no lock
        and does not look for rows that the store holds already; rows given twice are written once.
        A shard that is not adopted within an hour may be taken for an orphan by
        ``featx cache gc``.

        Parameters
        ----------
        hashes : ndarray of shape (n, 32), uint8
            SHA-256 of each image's bytes; n in 1..`rows_per_shard`.
        embeddings : ndarray of shape (n, n_features), float32
            Finite.
        pixels : ndarray of shape (n, 16), uint8, optional
            As for `add`.

        Returns
        -------
        str
            The shard's file name, for `adopt`.

        Raises
        ------
        StoreError
            Wrong shape or type, no row or more than a shard holds, a value that is not finite, a
            full disk or one that cannot be written. Nothing was written then.
        """
        hashes, embeddings, pixels = self._checked(hashes, embeddings, pixels)
        if not 1 <= len(hashes) <= self.rows_per_shard:
            raise StoreError(
                f"A shard of {self.n_features} features takes 1 to {self.rows_per_shard} rows, "
                f"got {len(hashes)}."
            )
        first = first_rows(hashes)
        self._create()
        entry, image = build_shard(
            hashes[first], embeddings[first], pixels[first], self.fingerprint
        )
        self._reader.write(entry, image)
        return entry.name

    def adopt(self, names: Iterable[str]) -> int:
        """Index shards that `write_shard` made, all in one commit; the committer's half of `add`.

        Every shard is read and verified first: its name holds half its own SHA-256. The rows are
        durable when this returns. Shards that are indexed already, or hold no row that the store
        lacks (a worker's second attempt), are passed over, so it is safe to call this again after
        a crash. Nothing is adopted when any shard is missing or damaged.

        Parameters
        ----------
        names : iterable of str
            What `write_shard` returned, here or on any machine that shares the folder.

        Returns
        -------
        int
            How many shards were added to the index.

        Raises
        ------
        CorruptStoreError
            A shard is missing (``featx cache gc`` removes unadopted ones after an hour), damaged,
            or of another extractor.
        StoreError
            A name is none of a shard's, or the disk cannot be read or written.
        StoreLockedError
            Another process held the lock for too long.
        """
        with self._guard:
            self.refresh()
            adopted = adopt_shards(self._reader, self._snapshot, list(dict.fromkeys(names)))
            self.refresh()
        self._compact_when_many()
        return adopted

    def unindexed(self) -> list[str]:
        """Names of shards in the folder that the index does not name, sorted; for `adopt`.

        What workers wrote and nobody adopted: ``store.adopt(store.unindexed())`` keeps the work of
        a job whose committer was killed. Orphans of other kinds hold no row that is wrong.
        """
        self.refresh()
        return unindexed_shards(self._reader, self._snapshot.index)

    @property
    def rows_per_shard(self) -> int:
        """How many rows a full shard holds (64 MiB of them)."""
        return rows_per_shard(self.n_features)

    def _create(self) -> None:
        if not self._created:
            create_folder(self.folder, self.spec)
            self._created = True

    def _compact_when_many(self) -> None:
        if len(small_shards(self._snapshot.index)) >= AUTO_COMPACT_SHARDS:
            # The rows are safe already; what hinders a compaction shows when they are read.
            with contextlib.suppress(StoreError):
                self.compact()

    def _commit(self, hashes: np.ndarray, embeddings: np.ndarray, pixels: np.ndarray) -> None:
        self._create()
        entry, image = build_shard(hashes, embeddings, pixels, self.fingerprint)
        try:
            self._reader.write(entry, image)
            with committer_lock(self.folder):
                # This process may have slept so long that gc took its shard for an orphan.
                if not self._reader.path(entry).exists():
                    self._reader.write(entry, image)
                index = current_index(self._reader)
                write_index(self.folder, replace(index, shards=(*index.shards, entry)))
        except Exception:
            discard_unlisted(self._reader, entry)
            raise

    def compact(self) -> Compaction:
        """Merge small shards into larger ones; see `compaction.compact_shards`."""
        done = compact_shards(self._reader)
        self.refresh()
        return done

    def _checked(
        self, hashes: np.ndarray, embeddings: np.ndarray, pixels: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        hashes = checked_hashes(hashes)
        shape = len(hashes), self.n_features
        return (
            hashes,
            checked_embeddings(embeddings, shape, self.spec.backbone),
            checked_pixels(pixels, len(hashes)),
        )
