"""``featx finetune``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand, option
from featx.cli.options import as_json, config_options
from featx.config import DatasetConfig, ExtractConfig, FinetuneConfig, RunConfig


@click.command(
    cls=LaidOutCommand,
    name="finetune",
    common=(
        "from_run",
        "backbone",
        "preset",
        "name",
        "overwrite",
    ),
    examples=(
        "featx finetune photos/ --from runs/first --name tuned",
        "featx finetune photos/ --backbone timm:resnet18 --preset quick",
    ),
)
@config_options(DatasetConfig)
@config_options(ExtractConfig, leave_out=frozenset({"views", "augment", "cluster", "address"}))
@config_options(FinetuneConfig)
@option("--preview", help="Only write a contact sheet of augmented images to this file.")
@as_json
def command(
    data: DatasetConfig,
    extract: ExtractConfig,
    finetune: FinetuneConfig,
    preview: str | None,
    as_json: bool,
) -> None:
    """Train a backbone on DATASET from the head of its frozen embeddings, and evaluate it."""
    if preview is not None:
        from featx.finetuning.preview import preview as write_sheet

        write_sheet(preview, data, extract, finetune)
        if as_json:
            console.print_json({"preview": preview})
        return

    from featx.api.finetune import finetune_dataset
    from featx.reporting.summaries.run import print_run

    run = finetune_dataset(RunConfig(data=data, extract=extract, finetune=finetune))
    if as_json:
        console.print_json({"run": str(run.folder), **run.results.document()})
    else:
        print_run(run, extract)
