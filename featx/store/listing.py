"""Where a cache is and what it holds: one folder per extractor; anything else is not ours."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from featx.errors import CorruptStoreError, StoreError, UnknownNameError
from featx.store.extractor import EXTRACTOR_NAME, read_extractor
from featx.store.faults import storage_errors
from featx.store.index import INDEX_NAME
from featx.store.shard import ShardReader
from featx.store.snapshot import load_snapshot
from featx.types import ExtractorSpec

_FOLDER_PATTERN = re.compile(r".+-[0-9a-f]{12}", re.DOTALL)


@dataclass(frozen=True)
class ExtractorInfo:
    """One extractor's folder.

    Parameters
    ----------
    name : str
        The folder's name, which commands take.
    backbone, fingerprint : str
        Empty where ``extractor.json`` cannot be read.
    n_features, rows, shards, size_bytes : int
        Width of an embedding, images with one, shard files and their bytes; 0 where unreadable.
    problem : str or None
        Why it cannot be used, where it cannot.
    """

    name: str
    backbone: str = ""
    fingerprint: str = ""
    n_features: int = 0
    rows: int = 0
    shards: int = 0
    size_bytes: int = 0
    problem: str | None = None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def cache_folder(value: str | os.PathLike[str] | None = None) -> Path:
    """Return the cache folder: ``value``, else ``$FEATX_CACHE``, else ``cache`` here.

    Parameters
    ----------
    value : str or path, optional
        What the user asked for; ``~`` is expanded. Empty counts as not given.

    Returns
    -------
    Path
        Absolute; it need not exist.
    """
    return Path(value or os.environ.get("FEATX_CACHE") or "cache").expanduser().absolute()


def extractor_folders(cache: str | Path) -> list[Path]:
    """Folders of ``cache`` that hold an extractor, by name; [] where there is no cache.

    A folder counts when it is named like one and holds a file of a store's.
    """
    path = Path(cache).expanduser().absolute()
    with storage_errors("list", path):
        try:
            found = sorted(path.iterdir())
        except FileNotFoundError:
            return []
    return [
        folder
        for folder in found
        if _FOLDER_PATTERN.fullmatch(folder.name)
        and folder.is_dir()
        and not folder.is_symlink()
        and any((folder / name).exists() for name in (EXTRACTOR_NAME, INDEX_NAME))
    ]


def list_extractors(cache: str | Path) -> list[ExtractorInfo]:
    """Every extractor in a cache; damaged ones are listed with their problem.

    Parameters
    ----------
    cache : path
        The cache folder; it need not exist.
    """
    return [_describe(folder) for folder in extractor_folders(cache)]


def _describe(folder: Path) -> ExtractorInfo:
    try:
        spec = _read_spec(folder)
    except StoreError as error:
        return ExtractorInfo(folder.name, problem=error.message)
    info = ExtractorInfo(folder.name, spec.backbone, spec.fingerprint, spec.n_features)
    try:
        snapshot = load_snapshot(ShardReader(folder, spec.fingerprint, spec.n_features))
    except StoreError as error:
        return replace(info, problem=error.message)
    return replace(
        info,
        rows=snapshot.rows.n_distinct,
        shards=len(snapshot.index.shards),
        size_bytes=sum(shard.size_bytes for shard in snapshot.index.shards),
    )


def open_reader(folder: Path) -> ShardReader:
    """A reader of a folder's shards, by its ``extractor.json``; raises as `read_extractor`."""
    spec = _read_spec(folder)
    return ShardReader(folder, spec.fingerprint, spec.n_features)


def _read_spec(folder: Path) -> ExtractorSpec:
    spec = read_extractor(folder)
    if spec is None:
        raise CorruptStoreError(
            f"{folder / EXTRACTOR_NAME} is missing.",
            hint="Running extract with the same backbone and settings writes it again.",
        )
    return spec


def find_extractor(cache: str | Path, name: str) -> Path:
    """The folder of the extractor that ``name`` means.

    Parameters
    ----------
    cache : path
    name : str
        A folder's name, the start of one, or the backbone's name, as long as it means one only.

    Raises
    ------
    UnknownNameError
        It means none, or several; the message lists all.
    """
    folders = {folder.name: folder for folder in extractor_folders(cache)}
    if name in folders:
        return folders[name]
    matches = [f for f in folders.values() if f.name.startswith(name) or _backbone(f) == name]
    if not name or len(matches) != 1:
        choices = [m.name for m in matches] if name and matches else folders
        raise UnknownNameError("extractor", name, choices)
    return matches[0]


def _backbone(folder: Path) -> str | None:
    try:
        spec = read_extractor(folder)
    except CorruptStoreError:
        return None
    return None if spec is None else spec.backbone
