"""``featx score``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand, argument
from featx.cli.options import as_json, config_options, strict
from featx.config import BACKBONE_FIELDS, DatasetConfig, ExtractConfig, ScoreConfig


@click.command(
    cls=LaidOutCommand,
    name="score",
    common=(
        "output",
        "proba",
        "top_k",
        "sort_into",
        "report",
        "overwrite",
    ),
    examples=(
        "featx score runs/first new/",
        "featx score runs/first new/ -o new.csv --proba --sort-into sorted/",
    ),
)
@argument("model")
@config_options(DatasetConfig)
@config_options(ScoreConfig)
@config_options(ExtractConfig, leave_out=BACKBONE_FIELDS)
@strict
@as_json
def command(
    model: str,
    data: DatasetConfig,
    score: ScoreConfig,
    extract: ExtractConfig,
    strict: bool,
    as_json: bool,
) -> None:
    """Predict the class of every file in DATASET with MODEL (a model, a run, or a .featx file).

    Exit codes: 0 done, 3 files were quarantined (--strict), 4 what --fail-on names was found; the
    rows are written in each case.
    """
    from featx.api.score import score_images
    from featx.reporting.summaries.scores import print_scores

    scores = score_images(model, data, output=score.output, config=score, extract=extract)
    if as_json:
        console.print_json(scores.document())
    else:
        print_scores(scores)
    if strict:
        scores.require_all()
    scores.require_calm(score.fail_on)
    scores.require_any()
