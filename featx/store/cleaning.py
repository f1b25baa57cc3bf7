"""Removing what no index names, and whole extractors on request; never an unknown file."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from featx.errors import StoreError
from featx.files import TEMPORARY_PATTERN, fsync_directory
from featx.store.compaction import current_index
from featx.store.derived import DERIVED_NAME
from featx.store.extractor import EXTRACTOR_NAME
from featx.store.faults import storage_errors
from featx.store.index import INDEX_NAME, SHARD_PATTERN, SHARDS_NAME
from featx.store.listing import extractor_folders, find_extractor, open_reader
from featx.store.lock import LOCK_NAME, committer_lock
from featx.store.lookup_file import LOOKUP_PATTERN
from featx.store.partial import PAGES_PATTERN, pages_path

#: An unlisted file may be one that a running process is about to commit.
GRACE_S = 3600.0
_TEMPORARY = re.compile(TEMPORARY_PATTERN, re.DOTALL)
_DERIVED = re.compile(f"{PAGES_PATTERN.pattern}|{LOOKUP_PATTERN.pattern}|{LOCK_NAME}")


@dataclass(frozen=True)
class Removal:
    """One file that was, or under a dry run would be, removed."""

    path: str
    size_bytes: int


@dataclass
class Cleaning:
    """What `gc` did.

    Parameters
    ----------
    removed : list of Removal
    skipped : dict of str to str
        Extractor's folder -> why it, or something in it, was left.
    """

    removed: list[Removal] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def gc(
    cache: str | Path,
    *,
    extractors: Sequence[str] = (),
    older_than_s: float = GRACE_S,
    dry_run: bool = False,
) -> Cleaning:
    """Remove orphan shards and temporary files, or whole extractors.

    Parameters
    ----------
    cache : path
        The cache folder.
    extractors : sequence of str, default ()
        Extractors to remove completely, as `find_extractor` takes them. Where any is named,
        nothing else is touched.
    older_than_s : float, default 3600
        Leave orphans and temporary files younger than this: a running process may still commit
        them.
    dry_run : bool, default False
        Only list what would be removed.

    Raises
    ------
    UnknownNameError
        ``extractors`` names none, or more than one.
    StoreError
        A file cannot be removed.
    StoreLockedError
        Another process kept committing.
    """
    cleaning = Cleaning()
    if extractors:
        for folder in [find_extractor(cache, name) for name in extractors]:
            _remove_extractor(folder, dry_run, cleaning)
        return cleaning
    for folder in extractor_folders(cache):
        try:
            with contextlib.nullcontext() if dry_run else committer_lock(folder):
                listed = {shard.name for shard in current_index(open_reader(folder)).shards}
                orphans = _orphans(folder, listed, time.time() - older_than_s)
                _remove(orphans, dry_run, cleaning)
        except StoreError as error:
            # Without a readable index nobody can tell an orphan from a shard.
            cleaning.skipped[folder.name] = error.message
    return cleaning


def _orphans(folder: Path, listed: Collection[str], before: float) -> list[Path]:
    """Unlisted shards, what was derived from them, and temporary files, if older than a moment."""
    used = {*listed, *(pages_path(folder, name).name for name in listed)}
    found: list[Path] = []
    for place, pattern in (
        (folder, _TEMPORARY),
        (folder / SHARDS_NAME, SHARD_PATTERN),
        (folder / DERIVED_NAME, PAGES_PATTERN if listed else _DERIVED),
    ):
        for path in _children(place):
            ours = pattern.fullmatch(path.name) or _TEMPORARY.fullmatch(path.name)
            if ours and path.name not in used and _written_before(path, before):
                found.append(path)
    return found


def _children(folder: Path) -> list[Path]:
    return [] if folder.is_symlink() or not folder.is_dir() else sorted(folder.iterdir())


def _written_before(path: Path, before: float) -> bool:
    """Whether a plain file is that old; its writer may rename or remove it at any time."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_mtime < before


def _remove_extractor(folder: Path, dry_run: bool, cleaning: Cleaning) -> None:
    """Remove an extractor, its index first: what a crash leaves is an empty store."""
    with contextlib.nullcontext() if dry_run else committer_lock(folder):
        ours = [folder / name for name in (INDEX_NAME, EXTRACTOR_NAME)]
        ours = [path for path in ours if path.is_file() and not path.is_symlink()]
        _remove([*ours[:1], *_orphans(folder, (), float("inf")), *ours[1:]], dry_run, cleaning)
        if dry_run:
            return
        for name in (SHARDS_NAME, DERIVED_NAME):
            with contextlib.suppress(OSError):  # not empty: something unknown is in it
                os.rmdir(folder / name)  # noqa: PTH106
        left = [path.name for path in folder.iterdir() if path.name != LOCK_NAME]
        if left:
            cleaning.skipped[folder.name] = f"left, because featx did not write it: {left}"
            return
        with storage_errors("remove", folder):
            (folder / LOCK_NAME).unlink()
            folder.rmdir()
            fsync_directory(folder.parent)


def _remove(paths: Sequence[Path], dry_run: bool, cleaning: Cleaning) -> None:
    for path in paths:
        with storage_errors("remove", path), contextlib.suppress(FileNotFoundError):
            size_bytes = path.lstat().st_size
            if not dry_run:
                path.unlink()
                if path.name == INDEX_NAME:
                    fsync_directory(path.parent)
            cleaning.removed.append(Removal(os.fspath(path), size_bytes))
