"""``featx backbones``."""

from __future__ import annotations

import click

from featx import console
from featx.cli.options import as_json

__all__ = ["command"]


@click.command(name="backbones")
@click.argument("filter", required=False)
@click.option("--limit", type=click.IntRange(0), default=25, help="Most rows; 0 for all. [25]")
@click.option("--layers", is_flag=True, help="List the layers of the one backbone named.")
@as_json
def command(filter: str | None, limit: int, layers: bool, as_json: bool) -> None:
    """List backbones whose name holds FILTER (or matches it, with *), or the layers of one.

    \b
    featx backbones                          what comes with featx, then the zoos
    featx backbones resnet50                 everything with resnet50 in its name
    featx backbones 'torchvision:*'          one zoo
    featx backbones timm:resnet18 --layers   what --layer takes

    Width and parameters are measured, without weights, for lists of at most 50 rows.
    """
    if layers:
        _print_layers(filter, as_json)
    else:
        _print_backbones(filter, limit, as_json)


def _print_backbones(filter: str | None, limit: int, as_json: bool) -> None:
    from featx.backbones import count_backbones, list_backbones

    rows = list_backbones(filter, limit=limit or None)
    if as_json:
        console.print_json([row.document() for row in rows])
        return
    console.table(
        "",
        ("backbone", "width", "input px", "parameters", "weights here"),
        [
            (
                row.name,
                row.n_features,
                "×".join(map(str, row.size_px)),
                "" if row.n_parameters is None else f"{row.n_parameters / 1e6:.1f} M",
                "no" if not row.on_this_machine else "with featx" if row.embedded else "yes",
            )
            for row in rows
        ],
    )
    left = count_backbones(filter) - len(rows)
    if left:
        console.log(f"{left} more; narrow the filter, or --limit 0 for all.")


def _print_layers(name: str | None, as_json: bool) -> None:
    from featx.backbones import list_layers

    if name is None:
        raise click.UsageError("--layers needs the name of one backbone.")
    rows = list_layers(name)
    if as_json:
        console.print_json([row.document() for row in rows])
        return
    console.table(
        "",
        ("layer", "module", "output of one image"),
        [(row.name, row.kind, " × ".join(map(str, row.shape))) for row in rows],
    )
