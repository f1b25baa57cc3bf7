"""``featx audit``."""

from __future__ import annotations

import click

from featx import console
from featx.cli.options import as_json, config_options
from featx.config import AuditConfig, DatasetConfig, ExtractConfig

__all__ = ["command"]


@click.command(name="audit")
@config_options(DatasetConfig)
@config_options(ExtractConfig)
@config_options(AuditConfig)
@click.option("--strict", is_flag=True, help="Exit with code 1 when something serious is found.")
@as_json
def command(
    data: DatasetConfig, extract: ExtractConfig, audit: AuditConfig, strict: bool, as_json: bool
) -> None:
    """Look for copies, doubtful labels, outliers and shortcuts in DATASET, before any fit."""
    from featx.files import printable
    from featx.workflow.auditing import audit_dataset

    finished = audit_dataset(data, extract, audit)
    if as_json:
        console.print_json(finished.results)
    else:
        console.out("\n".join(f"→ {sentence}" for sentence in finished.results["summary"]))
        folder = printable(str(finished.folder))
        console.log(f"Look at {folder}/audit.html. Without the copies: featx fit "
                    f"{printable(data.dataset)} --exclude {folder}/exclude.csv")  # fmt: skip
    if strict:
        finished.require_sound()
