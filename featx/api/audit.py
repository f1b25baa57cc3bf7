"""`featx.audit`: what is wrong with a data set, before anything is fitted on it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx import console
from featx.auditing import Audit, AuditData, audit_images
from featx.auditing.document import audit_document
from featx.auditing.folder import AUDIT, write_audit
from featx.config import AuditConfig, DatasetConfig, ExtractConfig
from featx.config.keywords import keywords, read_options
from featx.data.opening import open_data
from featx.errors import AuditError, UsageError
from featx.extraction.embedding import extract_manifest
from featx.extraction.used import used_by
from featx.files import printable
from featx.outputs import Claims, Output, claimed
from featx.reporting.audit_page import audit_page
from featx.system_errors import writing
from featx.types import AUTO_LAYER


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

    def __repr__(self) -> str:
        serious = ", ".join(self.results["serious"]) or "nothing"
        return printable(f"FinishedAudit {str(self.folder)!r}: serious: {serious}")

    def require_sound(self) -> None:
        """Raise `featx.errors.AuditError` if something serious was found."""
        if self.results["serious"]:
            raise AuditError(
                f"The audit found: {printable(', '.join(self.results['serious']))}.",
                hint=f"See {printable(str(self.folder / 'audit.html'))}.",
            )


@keywords(DatasetConfig, ExtractConfig, AuditConfig)
def audit(dataset: str | os.PathLike[str], **options: Any) -> FinishedAudit:
    """Look for copies, doubtful labels, outliers and shortcuts.

    Parameters
    ----------
    dataset : path
        See `featx.extract`. Labels, groups and splits are used where there are any.
    **options

    Returns
    -------
    FinishedAudit
        With ``folder``, ``results`` and ``found``.

    Raises
    ------
    UsageError
        An option is invalid, or the output exists and ``overwrite`` is not set.
    DatasetError, BackboneError, StoreError
        See `featx.extract`; also where no image can be read.

    Examples
    --------
    >>> featx.audit("photos/", output="audit").results["serious"]        # doctest: +SKIP
    """
    data, extract, config = read_options(audit, dataset=dataset, **options)
    return audit_dataset(data, extract, config)


def audit_dataset(
    data: DatasetConfig, extract: ExtractConfig, config: AuditConfig
) -> FinishedAudit:
    """`audit` from checked configurations."""
    if (
        len(extract.backbone) > 1
        or extract.separate
        or extract.views
        or AUTO_LAYER in extract.layer
        or extract.both_ways
    ):
        raise UsageError(
            "An audit takes one backbone, without --separate, --views, --layer auto and "
            "--resize auto.",
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
    images = AuditData.of(extraction, workers=extract.workers)
    looked = time.perf_counter()
    found = audit_images(images, n_folds=config.folds, seed=config.seed)
    found.times.update(
        extract_s=round(extracted - started, 3), looking_s=round(looked - extracted, 3)
    )
    results = audit_document(found, extraction)
    paths = {row.id: row.path for row in manifest.rows}
    with writing("the audit", folder, kept="What is in the cache is kept."):
        page = audit_page(found, results, paths, shown=config.shown)
        write_audit(folder, found, results, page)
    console.log(f"Audit written to {printable(str(folder))}")
    return FinishedAudit(folder, results, found)
