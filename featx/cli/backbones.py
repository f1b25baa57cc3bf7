"""``featx backbones``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from featx import console
from featx.cli._layout import LaidOutCommand, argument, option
from featx.cli.options import as_json
from featx.errors import UsageError

if TYPE_CHECKING:
    from featx.backbones import Recommendation


@click.command(
    cls=LaidOutCommand,
    name="backbones",
    examples=(
        "featx backbones --recommended           # a few, by purpose",
        "featx backbones 'torchvision:*'         # one zoo",
        "featx backbones timm:resnet18 --layers  # what --layer takes",
    ),
)
@argument("filter", required=False)
@option(
    "--limit",
    type=click.IntRange(0),
    metavar="N",
    default=25,
    help="Number of rows; 0 for all. [25]",
)
@option("--layers", is_flag=True, help="List the layers of the one backbone named.")
@option(
    "--recommended",
    is_flag=True,
    help="List a few by purpose, with licence, size, speed and published figures.",
)
@as_json
def command(filter: str | None, limit: int, layers: bool, recommended: bool, as_json: bool) -> None:
    """List backbones whose name holds FILTER (or matches it, with *), or the layers of one.

    Width and parameters are measured, without weights, for lists of at most 50 rows.
    """
    if layers and recommended:
        raise click.UsageError("--layers and --recommended cannot be combined.")
    if layers:
        _print_layers(filter, as_json)
    elif recommended:
        _print_recommended(filter, as_json)
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
    brought = {row.name.partition(":")[0]: row.plugin for row in rows if row.plugin}
    for source, origin in brought.items():
        console.log(f"{source}: from the package {origin}")
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


def _print_recommended(part: str | None, as_json: bool) -> None:
    from featx.backbones import measured_on, recommended

    rows = recommended(part)
    if as_json:
        rate = {"images_per_s_measured_on": measured_on()}
        console.print_json({**rate, "rows": [row.document() for row in rows]})
        return
    if not rows:
        raise UsageError(
            f"No recommended backbone has {part!r} in its purpose or name.",
            hint="`featx backbones --recommended` lists all of them.",
        )
    sources = list(dict.fromkeys((p.source, p.url) for p in (r.published for r in rows) if p))
    console.table(
        "",
        ("purpose", "backbone", "width", "input px", "parameters", "images/s", "licence",
         "published"),
        [_recommendation(row, sources) for row in rows],
    )  # fmt: skip
    console.text("")
    for number, (source, url) in enumerate(sources, start=1):
        console.text(f"[{number}] {source}: {url}")
    for row in rows:
        if row.note:
            console.text(f"{row.name}: {row.note}.")
    console.log(f"Images/s were measured on {measured_on()}.")


def _recommendation(row: Recommendation, sources: list[tuple[str, str]]) -> tuple[Any, ...]:
    published = row.published
    figure = ""
    if published is not None:
        number = sources.index((published.source, published.url)) + 1
        at = f" at {published.at}" if published.at else ""
        figure = f"{published.percent:.1f} % {published.metric}{at} [{number}]"
    return (
        row.purpose,
        row.name,
        row.n_features,
        "×".join(map(str, row.size_px)),
        f"{row.n_parameters / 1e6:.1f} M",
        "" if row.images_per_s is None else f"{row.images_per_s:.3g}",
        row.license,
        figure,
    )
