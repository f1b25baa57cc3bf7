"""Checking every byte of a cache, and dropping what is damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from featx.errors import CorruptStoreError, StoreError
from featx.files import fsync_directory
from featx.store.adoption import unindexed_shards
from featx.store.compaction import current_index
from featx.store.extractor import EXTRACTOR_NAME, read_extractor
from featx.store.faults import storage_errors
from featx.store.index import (
    INDEX_NAME,
    SHARDS_NAME,
    Index,
    ShardEntry,
    write_index,
)
from featx.store.listing import extractor_folders
from featx.store.lock import committer_lock
from featx.store.partial import discard_pages
from featx.store.shard import ShardGoneError, ShardReader
from featx.store.structure import StructureError


@dataclass(frozen=True)
class Fault:
    """One damaged file.

    Parameters
    ----------
    file : str
        Relative to the extractor's folder.
    reason : str
        What is wrong with it.
    rows_lost : int
        How many rows the index credits it with; 0 for other files than shards.
    """

    file: str
    reason: str
    rows_lost: int = 0


@dataclass(frozen=True)
class Verification:
    """What was found in one extractor's folder.

    Parameters
    ----------
    name : str
        The folder's.
    shards, rows : int
        Good ones.
    faults : tuple of Fault
    repaired : bool
        Whether the faults were removed.
    """

    name: str
    shards: int = 0
    rows: int = 0
    faults: tuple[Fault, ...] = ()
    repaired: bool = False

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def verify(
    cache: str | Path, *, repair: bool = False, advance: Callable[[], None] = lambda: None
) -> list[Verification]:
    """Check every shard of every extractor against its index.

    Parameters
    ----------
    cache : path
        The cache folder.
    repair : bool, default False
        Drop damaged shards, so that the next extract computes their rows again. A damaged index
        is rebuilt from the shards that are whole; a damaged ``extractor.json`` is removed and
        written again by the next extract. Files of a newer featx are left alone.
    advance : callable, optional
        Called after each shard.

    Raises
    ------
    StoreError
        A repair cannot be written.
    """
    return [_verify_folder(folder, repair, advance) for folder in extractor_folders(cache)]


def _verify_folder(folder: Path, repair: bool, advance: Callable[[], None]) -> Verification:
    try:
        spec = read_extractor(folder)
    except CorruptStoreError as error:
        if repair:
            _remove(folder / EXTRACTOR_NAME)
        return _broken(folder, EXTRACTOR_NAME, error, repaired=repair)
    except StoreError as error:
        return _broken(folder, EXTRACTOR_NAME, error, repaired=False)
    if spec is None:
        reason = f"{folder / EXTRACTOR_NAME} is missing; the next extract like it writes it again."
        return Verification(folder.name, faults=(Fault(EXTRACTOR_NAME, reason),))
    reader = ShardReader(folder, spec.fingerprint, spec.n_features)
    try:
        index = current_index(reader)
    except CorruptStoreError as error:
        fault = _broken(folder, INDEX_NAME, error, repaired=repair)
        if not repair:
            return fault
        index = _rebuild_index(reader)
        rows = sum(shard.rows for shard in index.shards)
        return replace(fault, shards=len(index.shards), rows=rows)
    except StoreError as error:
        return _broken(folder, INDEX_NAME, error, repaired=False)
    return _verify_shards(reader, index, repair, advance)


def _broken(folder: Path, file: str, error: StoreError, *, repaired: bool) -> Verification:
    return Verification(folder.name, faults=(Fault(file, error.message),), repaired=repaired)


def _verify_shards(
    reader: ShardReader, index: Index, repair: bool, advance: Callable[[], None]
) -> Verification:
    good: list[ShardEntry] = []
    bad: dict[ShardEntry, Fault] = {}
    unreadable: list[Fault] = []  # no permission, say: no reason to drop a shard
    for shard in index.shards:
        file = f"{SHARDS_NAME}/{shard.name}"
        try:
            reader.hashes(shard)
            reader.pixels(shard)
            reader.verify(shard)
            good.append(shard)
        except ShardGoneError as error:
            if shard in current_index(reader).shards:  # and not compacted away meanwhile
                bad[shard] = Fault(file, error.message, shard.rows)
        except CorruptStoreError as error:
            bad[shard] = Fault(file, error.message, shard.rows)
        except StoreError as error:
            unreadable.append(Fault(file, error.message))
        advance()
    if bad and repair:
        _drop(reader, set(bad))
    return Verification(
        reader.folder.name,
        shards=len(good),
        rows=sum(shard.rows for shard in good),
        faults=(*bad.values(), *unreadable),
        repaired=bool(bad) and repair and not unreadable,
    )


def _drop(reader: ShardReader, bad: set[ShardEntry]) -> None:
    with committer_lock(reader.folder):
        index = current_index(reader)
        kept = tuple(shard for shard in index.shards if shard not in bad)
        write_index(reader.folder, replace(index, shards=kept))
        for shard in bad:
            _remove(reader.path(shard))
            discard_pages(reader.folder, shard)


def _rebuild_index(reader: ShardReader) -> Index:
    """List the shards that are whole again: each one's name holds its own digest."""
    with committer_lock(reader.folder):
        empty = reader.parse_index(None)
        entries = [_recognise(reader, name) for name in unindexed_shards(reader, empty)]
        index = replace(empty, shards=tuple(entry for entry in entries if entry is not None))
        write_index(reader.folder, index)
    return index


def _recognise(reader: ShardReader, name: str) -> ShardEntry | None:
    # Any other trouble with the file ends the repair: it may pass, and its rows be whole.
    try:
        return reader.identify(name)
    except StructureError:
        return None


def _remove(path: Path) -> None:
    with storage_errors("remove", path), contextlib.suppress(FileNotFoundError):
        path.unlink()
        fsync_directory(path.parent)
