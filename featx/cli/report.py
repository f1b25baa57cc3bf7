"""``featx report``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand, argument
from featx.cli.options import as_json, config_options
from featx.config import ReportConfig
from featx.files import printable


@click.command(
    cls=LaidOutCommand,
    name="report",
    common=(
        "output",
        "figures",
        "overwrite",
    ),
    examples=(
        "featx report runs/first",
        "featx report runs/first --figures figures/",
    ),
)
@argument("run")
@config_options(ReportConfig)
@as_json
def command(run: str, report: ReportConfig, as_json: bool) -> None:
    """Show RUN as one page: what was asked and found, figures, a map, mistakes and why."""
    from featx.api.report import report_folder

    page = str(report_folder(run, report))
    if as_json:
        console.print_json({"run": run, "page": page, "figures": report.figures})
    else:
        console.text(printable(page))
