"""``featx fit``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand
from featx.cli.options import as_json, config_options
from featx.config import DatasetConfig, ExtractConfig, FitConfig, RunConfig


@click.command(
    cls=LaidOutCommand,
    name="fit",
    common=(
        "backbone",
        "head",
        "sampler",
        "scoring",
        "budget",
        "name",
        "overwrite",
    ),
    examples=(
        "featx fit photos/ --name first",
        "featx fit photos/ --head logreg --head svm-rbf --sampler smote --budget 10m",
    ),
)
@config_options(DatasetConfig)
@config_options(ExtractConfig)
@config_options(FitConfig)
@as_json
def command(data: DatasetConfig, extract: ExtractConfig, fit: FitConfig, as_json: bool) -> None:
    """Search a classifier for DATASET, estimate it honestly, and save it as a run."""
    from featx.api.fit import fit_dataset
    from featx.reporting.summaries.run import print_run

    run = fit_dataset(RunConfig(data=data, extract=extract, fit=fit))
    if as_json:
        console.print_json({"run": str(run.folder), **run.results.document()})
    else:
        print_run(run, extract)
