"""`featx cache export`: an extractor's rows, aligned with a data set's ids and labels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featx import console
from featx.config import DatasetConfig
from featx.data.hashing import content_hash, read_bytes
from featx.data.manifest import Manifest
from featx.data.opening import open_data
from featx.errors import DecodeError, StoreError
from featx.extraction.used import kept_in, used_by
from featx.files import printable
from featx.outputs import Output, claimed
from featx.store import EmbeddingStore
from featx.store.export import EXPORT, check_export_path, export_arrays
from featx.store.listing import find_extractor
from featx.system_errors import writing


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Parameters
    ----------
    path : Path
        The file.
    rows, n_features : int
        Shape of ``X``.
    missing : tuple of str
        Ids of the data set that have no embedding (quarantined, or never extracted); they are
        not in the file.
    """

    path: Path
    rows: int
    n_features: int
    missing: tuple[str, ...] = ()


def export_embeddings(
    cache: str | Path,
    extractor: str,
    output: str | Path,
    *,
    data: DatasetConfig | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write the embeddings of one extractor as ``X``, ``y``, ``ids`` and ``sha256``.

    Parameters
    ----------
    cache : path
        The cache folder.
    extractor : str
        Name of its folder, the start of it, or the backbone's name.
    output : path
        ``.h5``, ``.npz`` or ``.parquet``.
    data : DatasetConfig, optional
        One row per image of this data set, in its order; the images are hashed to find their
        rows. Without it, all rows of the store, with hashes as ids and no ``y``.
    overwrite : bool, default False
        Replace an existing file.

    Raises
    ------
    UnknownNameError, UsageError, MissingExtraError, DatasetError, StoreError, CorruptStoreError
        The extractor, the output, the data set or the store is not as it must be.
    """
    target = check_export_path(output)
    used = [*used_by(data), *kept_in(cache)]
    with claimed([Output(target, "-o", EXPORT, overwrite)], used) as claims:
        rows = aligned_rows(cache, extractor, data)
        claims.spare("the images", rows.paths or ())
        target = claims.place(target)
        with writing("the export", target):
            export_arrays(target, rows.X, rows.y, rows.ids, hashes=rows.hashes, overwrite=True)
        return ExportReport(target, len(rows.ids), rows.X.shape[1], rows.missing)


@dataclass(frozen=True)
class AlignedRows:
    """Rows of one extractor.

    Parameters
    ----------
    backbone : str
    X : ndarray of shape (n, n_features), float32
    y : list of str of length n, or None
    ids : list of str of length n
    hashes : ndarray of shape (n, 32), uint8
    paths : list of str of length n, or None
        The images, where a data set names them.
    missing : tuple of str
        Ids of the data set without an embedding.
    """

    backbone: str
    X: np.ndarray
    y: list[str] | None
    ids: list[str]
    hashes: np.ndarray
    paths: list[str] | None = None
    missing: tuple[str, ...] = ()


def aligned_rows(cache: str | Path, extractor: str, data: DatasetConfig | None) -> AlignedRows:
    """Embeddings of one extractor with their names; see `export_embeddings`."""
    store = EmbeddingStore.open_folder(find_extractor(cache, extractor))
    if data is None:
        hashes = store.hashes
        ids = [row.tobytes().hex() for row in hashes]
        return AlignedRows(store.spec.backbone, store.gather(hashes), None, ids, hashes)
    manifest = open_data(data)
    hashes, readable = _hash_files(manifest)
    known = readable & store.contains(hashes)
    rows = [row for row, there in zip(manifest.rows, known, strict=True) if there]
    if not rows:
        raise StoreError(
            f"None of the {len(manifest)} images of {printable(manifest.source)} has an "
            f"embedding in {printable(str(store.folder))}.",
            hint="Extract them first, with the options of this extractor.",
        )
    return AlignedRows(
        backbone=store.spec.backbone,
        X=store.gather(hashes[known]),
        y=[row.label or "" for row in rows] if manifest.labelled else None,
        ids=[row.id for row in rows],
        hashes=hashes[known],
        paths=[row.path for row in rows],
        missing=tuple(r.id for r, there in zip(manifest.rows, known, strict=True) if not there),
    )


def _hash_files(manifest: Manifest) -> tuple[np.ndarray, np.ndarray]:
    """Hash of each image (n, 32) uint8, and which files could be read (n,) bool."""
    hashes = np.zeros((len(manifest), 32), np.uint8)
    readable = np.zeros(len(manifest), bool)
    with (
        ThreadPoolExecutor() as pool,
        console.progress(len(manifest), "Hashing") as bar,
    ):
        for number, digest in enumerate(pool.map(_hash_file, manifest.paths)):
            if digest is not None:
                hashes[number] = np.frombuffer(digest, np.uint8)
                readable[number] = True
            bar.advance()
    return hashes, readable


def _hash_file(path: str) -> bytes | None:
    try:
        return content_hash(read_bytes(path))
    except DecodeError:
        return None
