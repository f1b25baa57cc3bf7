"""``featx extract``."""

from __future__ import annotations

from typing import Any

import click

from featx import console
from featx.cli._layout import LaidOutCommand, option
from featx.cli.options import as_json, config_options, strict
from featx.config import DatasetConfig, ExtractConfig, extract_command, fit_command


@click.command(
    cls=LaidOutCommand,
    name="extract",
    common=(
        "backbone",
        "layer",
        "cache",
        "dry_run",
    ),
    examples=(
        "featx extract photos/",
        "featx extract list.csv --path-column file --backbone timm:resnet18 --layer stages",
    ),
)
@config_options(DatasetConfig)
@config_options(ExtractConfig)
@option("--model", help="Run or model whose backbone to use, also a fine-tuned one.")
@option("--dry-run", is_flag=True, help="Only count cached and missing embeddings.")
@strict
@as_json
def command(
    data: DatasetConfig,
    extract: ExtractConfig,
    model: str | None,
    dry_run: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Turn the images of DATASET into embeddings, cached, never computed twice."""
    from featx.data.opening import open_data
    from featx.extraction.embedding import extract_manifest, extract_with_model

    manifest = open_data(data)
    if model is None:
        found = extract_manifest(manifest, extract, dry_run=dry_run)
    else:
        found = extract_with_model(manifest, model, extract, dry_run=dry_run)
    if as_json:
        console.print_json([extraction.document() for extraction in found])
    else:
        _print(found, dry_run)
    if strict:
        found[0].require_all()
    if not dry_run:
        found[0].require_any()
    if model is None:
        _next(data, extract, found[0], dry_run)


def _print(found: list[Any], dry_run: bool) -> None:
    rows = [
        (e.name, e.spec.n_features, int(e.ok.sum()), len(e.failures), e.spec.folder) for e in found
    ]
    title = "Would be computed; nothing was written" if dry_run else ""
    console.table(title, ("backbone", "features", "images", "quarantined", "store"), rows)


def _next(data: DatasetConfig, extract: ExtractConfig, extraction: Any, dry_run: bool) -> None:
    """Suggest the next command; none where it could only fail."""
    if dry_run:
        if extraction.report.images > extraction.report.quarantined:
            console.log(f"Next: {extract_command(data, extract)}")
    elif len({label for label in extraction.y if label is not None}) > 1:
        console.log(f"Next: {fit_command(data, extract)}")
