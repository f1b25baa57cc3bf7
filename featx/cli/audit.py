"""``featx audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from featx import console
from featx.cli._layout import LaidOutCommand, option
from featx.cli.options import as_json, config_options
from featx.config import AuditConfig, DatasetConfig, ExtractConfig, fit_command

if TYPE_CHECKING:
    from featx.api.audit import FinishedAudit


@click.command(
    cls=LaidOutCommand,
    name="audit",
    common=(
        "output",
        "backbone",
        "overwrite",
        "strict",
    ),
    examples=(
        "featx audit photos/",
        "featx audit list.csv --label-column kind -o findings",
    ),
)
@config_options(DatasetConfig)
@config_options(ExtractConfig)
@config_options(AuditConfig)
@option("--strict", is_flag=True, help="Exit with code 1 when something serious is found.")
@as_json
def command(
    data: DatasetConfig, extract: ExtractConfig, audit: AuditConfig, strict: bool, as_json: bool
) -> None:
    """Look for copies, doubtful labels, outliers and shortcuts in DATASET, before any fit."""
    from featx.api.audit import audit_dataset
    from featx.reporting.summaries.audit import print_audit

    finished = audit_dataset(data, extract, audit)
    if as_json:
        console.print_json(finished.results)
    else:
        print_audit(finished.results, finished.folder)
        _next(data, extract, finished)
    if strict:
        finished.require_sound()


def _next(data: DatasetConfig, extract: ExtractConfig, finished: FinishedAudit) -> None:
    """Suggest a fit on what is sound; nothing where there are not two classes to fit."""
    found = finished.found
    if len({label for label in found.data.labels if label is not None}) < 2:
        return
    changes: dict[str, Any] = {}
    if found.copies:
        changes["exclude"] = [*data.exclude, str(finished.folder / "exclude.csv")]
    if found.together is not None and found.together.chosen is not None and data.group is None:
        changes["group"] = str(finished.folder / "groups.csv")
    said = "Without the copies" if found.copies else "Next"
    console.log(f"\n{said}: {fit_command(data.model_copy(update=changes), extract)}")
