"""``featx demo``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand, option
from featx.cli.options import as_json


@click.command(
    cls=LaidOutCommand,
    name="demo",
    common=("folder",),
    examples=(
        "featx demo",
        "featx demo --folder /tmp/demo --overwrite",
    ),
)
@option("--folder", default="featx-demo", help="Where to put it. [featx-demo]")
@option("--images-only", is_flag=True, help="Make the data set and stop.")
@option("--overwrite", is_flag=True, help="Replace an earlier demo.")
@as_json
def command(folder: str, images_only: bool, overwrite: bool, as_json: bool) -> None:
    """Make a small data set of real images and run everything on it, offline."""
    from featx.api.demo import demo

    if as_json:
        console.set_verbosity(-1)  # what the commands inside it print is not asked for
    made = demo(folder, images_only=images_only, overwrite=overwrite)
    if as_json:
        console.print_json(made)
