"""A manifest to embeddings, with what a person is told meanwhile."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from featx import console
from featx.artifact import Model, load_model
from featx.config import BACKBONE_FIELDS, ExtractConfig
from featx.data.manifest import Manifest
from featx.errors import UsageError
from featx.extraction import Extraction, run_extractors
from featx.extraction.rebuilding import rebuild_extractors
from featx.extraction.resolving import resolve_extract
from featx.extraction.used import check_cache
from featx.extraction.ways import build_extractors
from featx.files import printable
from featx.types import ExtractionReport

SHOWN_FAILURES = 10


def extract_with_model(
    manifest: Manifest,
    model: Model | str | os.PathLike[str],
    config: ExtractConfig,
    *,
    dry_run: bool = False,
) -> list[Extraction]:
    """Embeddings by the backbones of a model, under their own fingerprints.

    Raises
    ------
    UsageError
        ``config`` asks for another backbone, layer or preprocessing than the model's.
    ModelError
        The model cannot be loaded, or its backbone is not the one it was fitted with.
    """
    asked = sorted(BACKBONE_FIELDS & config.model_fields_set)
    if asked:
        raise UsageError(
            f"--{asked[0].replace('_', '-')} cannot be combined with --model, which uses the "
            "model's own backbone.",
            hint="Leave one of the two out.",
        )
    check_cache(manifest, config.cache)
    loaded = model if isinstance(model, Model) else load_model(model)
    extractors = rebuild_extractors(loaded, config, () if dry_run else manifest.paths)
    found = run_extractors(manifest, extractors, config, dry_run=dry_run)
    tell_report(found[0].report)
    tell_failures(found[0])
    return found


def extract_manifest(
    manifest: Manifest,
    config: ExtractConfig,
    *,
    allow_memory: bool = False,
    dry_run: bool = False,
) -> list[Extraction]:
    """`extract` for a manifest already read; progress goes to stderr."""
    check_cache(manifest, config.cache)
    config = resolve_extract(manifest, config)
    if not config.views and (config.augment, config.upright) != ("medium", True):
        console.warn("--augment and --no-upright have no effect without --views.")
    paths = () if dry_run else manifest.paths  # nothing is computed, so nothing is checked
    extractors = build_extractors(config, paths)
    for extractor in extractors:
        name, plan = extractor.request.name, extractor.plan
        console.once(f"{name}: {plan.choice.short}.", f"{name}: {plan}.")
    found = run_extractors(manifest, extractors, config, allow_memory=allow_memory, dry_run=dry_run)
    tell_report(found[0].report)
    tell_failures(found[0])
    return found


def tell_report(report: ExtractionReport) -> None:
    """How many images were cached and computed, and how long it took; under ``-v`` where."""
    first, *more = report.sentences()
    console.log(first)
    for sentence in more:
        console.detail(sentence)


def tell_failures(extraction: Extraction) -> None:
    """Name the quarantined files, at most ten, the classes they leave empty, and dark images."""
    failures: Sequence[Any] = extraction.failures
    for failure in failures[:SHOWN_FAILURES]:
        console.warn(f"quarantined {printable(failure.id)}: {failure.reason}")
    if len(failures) > SHOWN_FAILURES:
        console.warn(f"... and {len(failures) - SHOWN_FAILURES:,} more quarantined files")
    failed = {failure.id for failure in failures}
    rows = [row for row in extraction.manifest.rows if row.label is not None]
    read = {row.label for row in rows if row.id not in failed}
    lost = Counter(str(row.label) for row in rows if row.label not in read) if read else Counter()
    for label, n in lost.most_common(SHOWN_FAILURES):
        images = console.counted(n, "image")
        console.warn(f"class {printable(label)!r} has {images} and none of them can be read")
    if extraction.report.narrow:
        console.warn(extraction.report.narrow)
