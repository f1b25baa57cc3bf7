"""``featx label``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand
from featx.cli.options import as_json, config_options
from featx.config import ExtractConfig, LabelConfig


@click.command(
    cls=LaidOutCommand,
    name="label",
    common=(
        "export",
        "import_from",
        "log",
        "browser",
        "port",
    ),
    examples=(
        "featx label photos/",
        "featx label photos/ --import old.csv --export labels.csv --no-browser",
    ),
)
@config_options(LabelConfig)
@config_options(ExtractConfig, leave_out=frozenset({"views", "augment", "upright", "limit"}))
@as_json
def command(label: LabelConfig, extract: ExtractConfig, as_json: bool) -> None:
    """Label the images of FOLDER in a page on this machine: those that teach most come first."""
    from featx.api.label import label_folder

    found = label_folder(label, extract)
    if as_json:
        console.print_json(found)
