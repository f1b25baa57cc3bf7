"""``featx race``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand
from featx.cli.options import as_json, config_options
from featx.config import DatasetConfig, ExtractConfig, RaceConfig
from featx.config.arguments import arguments
from featx.config.race import OF_RACES
from featx.shell import shell_line


@click.command(
    cls=LaidOutCommand,
    name="race",
    common=("output", "backbone", "weights", "size", "budget", "scoring", "overwrite"),
    examples=(
        "featx race photos/",
        "featx race photos/ --backbone featx:lite0 --size 160 --size 224 --budget 5m",
    ),
)
@config_options(DatasetConfig)
@config_options(ExtractConfig, leave_out=OF_RACES)
@config_options(RaceConfig)
@as_json
def command(data: DatasetConfig, extract: ExtractConfig, race: RaceConfig, as_json: bool) -> None:
    """Screen backbones, input sizes, layers and poolings for DATASET on few images."""
    from featx.api.race import race_dataset
    from featx.reporting.summaries.race import print_race

    finished = race_dataset(data, extract, race)
    if as_json:
        console.print_json(finished.results)
        return
    print_race(finished.results, finished.folder)
    kept = arguments(extract, leave_out=frozenset({"backbone"}))
    words = [*arguments(data), "--race", str(finished.folder), *kept]
    console.log(f"\nNext: {shell_line('featx', 'fit', *words)}")
