"""``featx run``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand, argument, option
from featx.cli.options import as_json
from featx.config import load_config


@click.command(
    cls=LaidOutCommand,
    name="run",
    common=("overrides",),
    examples=(
        "featx run configs/quick.yaml",
        "featx run runs/first/config.yaml --set fit.name=again",
    ),
)
@argument("config")
@option("--set", "overrides", multiple=True, help="Override the file with section.key=value.")
@as_json
def command(config: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Run extract, fit and score as the YAML file CONFIG declares."""
    resolved = load_config(config, overrides=overrides)

    from featx.api.run import run
    from featx.extraction.resolving import resolve_rerun
    from featx.reporting.summaries.run import print_run

    resolved = resolve_rerun(resolved, config)
    finished = run(resolved)
    if as_json:
        console.print_json({"run": str(finished.folder), **finished.results.document()})
    else:
        print_run(finished, resolved.extract)
