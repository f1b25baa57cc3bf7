"""`featx.audit`: what is wrong with a data set, before anything is fitted on it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.auditing import Audit, AuditData, audit_images
from featx.auditing.document import TABLES, audit_document, audit_tables
from featx.auditing.looking import look_at
from featx.config import AuditConfig, DatasetConfig, ExtractConfig
from featx.config.options import sections
from featx.data.opening import open_data
from featx.errors import AuditError, DatasetError, UsageError
from featx.extraction import Extraction
from featx.extraction.embedding import extract_manifest
from featx.extraction.used import used_by
from featx.files import make_directory, printable, write_atomic
from featx.formats import write_rows
from featx.ours import FolderKind, is_page, is_table, read_json
from featx.outputs import Claims, Output, claimed
from featx.reporting.audit_page import audit_page
from featx.system_errors import writing
from featx.types import AUTO_LAYER

__all__ = ["FinishedAudit", "audit", "audit_dataset"]

FILES = frozenset({"audit.html", "audit.json", *(f"{name}.csv" for name in TABLES)})


@dataclass(frozen=True)
class FinishedAudit:
    """A finished audit.

    Attributes
    ----------
    folder : Path
        With ``audit.html``, ``exclude.csv``, ``groups.csv`` and a table of each kind of finding.
    results : dict
        The content of ``audit.json``.
    found : featx.auditing.Audit
    """

    folder: Path
    results: dict[str, Any]
    found: Audit

    def require_sound(self) -> None:
        """Raise `featx.errors.AuditError` if something serious was found."""
        if self.results["serious"]:
            raise AuditError(
                f"The audit found: {printable(', '.join(self.results['serious']))}.",
                hint=f"See {printable(str(self.folder / 'audit.html'))}.",
            )


def audit(dataset: str | os.PathLike[str], **options: Any) -> FinishedAudit:
    """Look for copies, doubtful labels, outliers and shortcuts.

    Parameters
    ----------
    dataset : path
        See `featx.extract`. Labels, groups and splits are used where there are any.
    **options
        Fields of `featx.config.DatasetConfig`, `featx.config.ExtractConfig` (one backbone) and
        `featx.config.AuditConfig`, for instance ``backbone="timm:resnet50"``, ``output="audit"``.

    Returns
    -------
    FinishedAudit
        With ``folder``, ``results`` and ``found``.

    Raises
    ------
    UsageError
        An option makes no sense, or the output exists and ``overwrite`` is not set.
    DatasetError, BackboneError, StoreError
        See `featx.extract`; also where no image can be read.

    Examples
    --------
    >>> featx.audit("photos/", output="audit").results["serious"]        # doctest: +SKIP
    """
    data, extract, config = sections(
        {"dataset": dataset, **options}, DatasetConfig, ExtractConfig, AuditConfig
    )
    return audit_dataset(data, extract, config)


def audit_dataset(
    data: DatasetConfig, extract: ExtractConfig, config: AuditConfig
) -> FinishedAudit:
    """`audit` from checked configurations."""
    if (
        len(extract.backbone) > 1
        or extract.separate
        or extract.views
        or (AUTO_LAYER in extract.layer)
    ):
        raise UsageError(
            "An audit takes one backbone, without --separate, --views and --layer auto.",
            hint="Run one audit for each, with an --output of its own.",
        )
    output = Output(config.output, "-o", AUDIT, config.overwrite)
    with claimed([output], used_by(data, extract)) as claims:
        return _audit(data, extract, config, claims)


def _audit(
    data: DatasetConfig, extract: ExtractConfig, config: AuditConfig, claims: Claims
) -> FinishedAudit:
    """The audit itself, once its folder is claimed."""
    folder = claims.place(config.output)
    started = time.perf_counter()
    manifest = open_data(data)
    claims.spare("the images", manifest.paths)
    extraction = extract_manifest(manifest, extract, allow_memory=True)[0]
    extracted = time.perf_counter()
    images = _audit_data(extraction, extract.workers)
    looked = time.perf_counter()
    found = audit_images(images, n_folds=config.folds, seed=config.seed)
    found.times.update(
        extract_s=round(extracted - started, 3), looking_s=round(looked - extracted, 3)
    )
    results = audit_document(found, extraction)
    with writing("the audit", folder, kept="What is in the cache is kept."):
        _write(folder, found, results, extraction, config)
    console.log(f"Audit written to {printable(str(folder))}")
    return FinishedAudit(folder, results, found)


def _is_audit(folder: Path) -> bool:
    """Whether it has an audit's document, and files of an audit's names are of an audit."""
    document = read_json(folder / "audit.json")
    if not {"schema_version", "source", "serious", "summary"} <= document.keys():
        return False
    tables = {f"{name}.csv": is_table(columns) for name, columns in TABLES.items()}
    known = {**tables, "audit.html": is_page}
    return all(known[p.name](p) for p in folder.iterdir() if p.name in known)


#: Its files are replaced one by one: others in the folder stay.
AUDIT = FolderKind(
    "an audit",
    _is_audit,
    lambda folder: FILES.__contains__,
    room_bytes=1 << 21,
    in_place=True,
)


def _audit_data(extraction: Extraction, workers: int | None) -> AuditData:
    """The images that have an embedding and can still be decoded."""
    rows = [row for row, ok in zip(extraction.manifest.rows, extraction.ok, strict=True) if ok]
    looks = look_at([row.path for row in rows], workers=workers)
    kept = [i for i, look in enumerate(looks) if look is not None]
    if not kept:
        raise DatasetError(
            f"None of {len(extraction.ok):,} images could be read.",
            hint="featx inspect says why.",
        )
    rows = [rows[i] for i in kept]
    return AuditData(
        ids=[row.id for row in rows],
        X=extraction.X[kept],
        hashes=np.asarray(extraction.hashes[extraction.ok][kept]),
        labels=[row.label for row in rows],
        groups=[row.group for row in rows],
        splits=[row.split for row in rows],
        looks=[look for look in looks if look is not None],
    )


def _write(
    folder: Path,
    found: Audit,
    results: dict[str, Any],
    extraction: Extraction,
    config: AuditConfig,
) -> None:
    import json

    make_directory(folder)
    # First: the rest is recognised by it.
    write_atomic(folder / "audit.json", json.dumps(results, indent=2, allow_nan=False).encode())
    for name, (columns, rows) in audit_tables(found).items():
        write_rows(folder / f"{name}.csv", columns, rows, overwrite=True)
    paths = {row.id: row.path for row in extraction.manifest.rows}
    text = audit_page(found, results, paths, shown=config.shown)
    write_atomic(folder / "audit.html", text.encode("utf-8", "backslashreplace"))
