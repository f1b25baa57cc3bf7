"""``featx open``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand, argument
from featx.cli.options import as_json, config_options
from featx.config import OpenConfig


@click.command(
    cls=LaidOutCommand,
    name="open",
    common=(
        "output",
        "dataset",
        "browser",
        "port",
    ),
    examples=(
        "featx open runs/first",
        "featx open runs/first -o decisions.csv --dataset /mnt/photos --no-browser",
    ),
)
@argument("run")
@config_options(OpenConfig)
@as_json
def command(run: str, open: OpenConfig, as_json: bool) -> None:
    """Open RUN as a page on this machine: all its images, decisions about them, and new images."""
    from featx.api.open import open_run

    found = open_run(run, open)
    if as_json:
        console.print_json(found)
