"""``featx next``."""

from __future__ import annotations

from dataclasses import asdict

import click

from featx import console
from featx.cli._layout import LaidOutCommand, argument
from featx.cli.options import as_json, config_options
from featx.config import ExtractConfig, NextConfig


@click.command(
    cls=LaidOutCommand,
    name="next",
    common=("n", "random_share", "output", "overwrite"),
    examples=(
        "featx next runs/first new/ -n 50",
        "featx next photos-labels.jsonl photos/ -o next.csv",
    ),
)
@argument("source")
@argument("folder")
@config_options(NextConfig)
@config_options(ExtractConfig)
@as_json
def command(
    source: str, folder: str, next: NextConfig, extract: ExtractConfig, as_json: bool
) -> None:
    """List the images of FOLDER to label next; SOURCE is a run, a model or a file of labels."""
    from featx.api.next import choose_next
    from featx.reporting.summaries.next_images import print_next

    found = choose_next(source, folder, next, extract)
    if as_json:
        console.print_json({"images": [asdict(each) for each in found]})
    else:
        print_next(found)
