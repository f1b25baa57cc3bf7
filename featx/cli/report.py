"""``featx report``."""

from __future__ import annotations

import click

from featx.cli.options import config_options
from featx.config import ReportConfig

__all__ = ["command"]


@click.command(name="report")
@click.argument("run")
@config_options(ReportConfig)
def command(run: str, report: ReportConfig) -> None:
    """Show RUN as one page: what was asked and found, figures, a map, mistakes and why."""
    from featx import console
    from featx.api.report import report_folder

    console.out(str(report_folder(run, report)))
