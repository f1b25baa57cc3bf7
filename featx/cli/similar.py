"""``featx similar``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand, argument
from featx.cli.options import as_json, config_options, strict
from featx.config import DatasetConfig, ExtractConfig, SimilarConfig

VIEW_FIELDS = frozenset({"views", "augment", "upright"})


@click.command(
    cls=LaidOutCommand,
    name="similar",
    common=("neighbours", "model", "output", "backbone", "cache"),
    examples=(
        "featx similar odd.jpg photos/",
        "featx similar a.jpg b.jpg labels.csv --neighbours 20 -o near.csv",
    ),
)
@argument("images", nargs=-1, required=True)
@config_options(DatasetConfig)
@config_options(SimilarConfig)
@config_options(ExtractConfig, leave_out=VIEW_FIELDS)
@strict
@as_json
def command(
    images: tuple[str, ...],
    data: DatasetConfig,
    similar: SimilarConfig,
    extract: ExtractConfig,
    strict: bool,
    as_json: bool,
) -> None:
    """List the images of DATASET that look most like each of IMAGES, with their labels.

    Similarity is the cosine of embeddings. Exit codes: 0 done, 1 none of IMAGES could be read, 3
    files were quarantined (--strict).
    """
    from featx.api.similar import find_similar

    found = find_similar(images, data, similar, extract)
    if as_json:
        console.print_json(found.document())
    else:
        for query in found.queries:
            title = f"{query.shown}: {query.sentence()}"
            console.table(title, query.columns, query.cells())
        if found.output is not None:
            console.log(f"{console.counted(found.n_rows, 'row')} written to {found.output}")
    if strict:
        found.require_all()
