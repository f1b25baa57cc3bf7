"""``featx evaluate``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand
from featx.cli.options import as_json, config_options, strict
from featx.config import BACKBONE_FIELDS, DatasetConfig, EvaluateConfig, ExtractConfig, RunConfig


@click.command(
    cls=LaidOutCommand,
    name="evaluate",
    common=("split", "threshold", "fail_on", "name", "overwrite"),
    examples=(
        "featx evaluate runs/first other_hospital/",
        "featx evaluate runs/first other.csv --name site-b --threshold sick:recall=0.95",
    ),
)
@config_options(EvaluateConfig)
@config_options(DatasetConfig)
@config_options(ExtractConfig, leave_out=BACKBONE_FIELDS)
@strict
@as_json
def command(
    evaluate: EvaluateConfig,
    data: DatasetConfig,
    extract: ExtractConfig,
    strict: bool,
    as_json: bool,
) -> None:
    """Evaluate MODEL (a model, a run, or a .featx file) on the labelled images of DATASET.

    Exit codes: 0 done, 3 files were quarantined (--strict), 4 what --fail-on names was found; the
    run is written in each case.
    """
    from featx.api.evaluate import evaluate_dataset, require_calm
    from featx.errors import QuarantinedError
    from featx.reporting.summaries.run import print_run

    run = evaluate_dataset(RunConfig(data=data, extract=extract, evaluate=evaluate))
    if as_json:
        console.print_json({"run": str(run.folder), **run.results.document()})
    else:
        print_run(run, extract)
    unread = len(run.failures)
    if strict and unread:
        raise QuarantinedError(
            f"{console.counted(unread, 'file')} could not be read.",
            hint="failures.csv in the run says why, file by file.",
        )
    require_calm(run, evaluate.fail_on)
