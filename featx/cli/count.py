"""``featx count``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand, argument
from featx.cli.options import as_json, config_options, strict
from featx.config import BACKBONE_FIELDS, CountConfig, DatasetConfig, ExtractConfig


@click.command(
    cls=LaidOutCommand,
    name="count",
    common=("by", "audit", "audited", "output", "report", "overwrite"),
    examples=(
        "featx count runs/first september/ --by folder:0 -o counts.csv",
        "featx count runs/first september/ --audit 200",
        "featx count runs/first september/ --audited audit.csv --report counts.html",
    ),
)
@argument("model")
@config_options(DatasetConfig)
@config_options(CountConfig)
@config_options(ExtractConfig, leave_out=BACKBONE_FIELDS)
@strict
@as_json
def command(
    model: str,
    data: DatasetConfig,
    count: CountConfig,
    extract: ExtractConfig,
    strict: bool,
    as_json: bool,
) -> None:
    """Count the images of each class in DATASET, corrected for the errors of MODEL (a run).

    Exit codes: 0 done, 3 files were quarantined (--strict).
    """
    from featx.api.count import count_images
    from featx.errors import QuarantinedError
    from featx.reporting.summaries.counts import print_counts

    counts = count_images(model, data, count, extract)
    if as_json:
        console.print_json(counts.document())
    else:
        print_counts(counts)
    if strict and counts.unread:
        raise QuarantinedError(
            f"{console.counted(counts.unread, 'file')} could not be read.",
            hint="featx inspect lists all broken files.",
        )
