"""``featx doctor``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand, option
from featx.cli.options import as_json


@click.command(
    cls=LaidOutCommand,
    name="doctor",
    common=("cache",),
    examples=(
        "featx doctor",
        "featx doctor --json",
    ),
)
@option("--cache", default=None, help="Cache folder. [$FEATX_CACHE, else ./cache]")
@as_json
def command(cache: str | None, as_json: bool) -> None:
    """Show what this machine has, what is missing, and how to get it."""
    from featx.api.doctor import doctor

    found = doctor(cache)
    if as_json:
        console.print_json(found)
        return
    console.table("", ("package", "version"), list(found["versions"].items()))
    console.text("")
    console.table(
        "", ("device", "name"), [(device["device"], device["name"]) for device in found["devices"]]
    )
    if found["plugins"]:
        console.out("")
        rows = [
            (p["name"], p["kind"], f"{p['package']} {p['version']}", "no" if p["fault"] else "yes")
            for p in found["plugins"]
        ]
        console.table("", ("plug-in", "kind", "package", "works"), rows)
    store = found["cache"]
    console.text(
        f"\ncache    {store['folder']}: {store['extractors']} extractors, {store['rows']:,} rows, "
        f"{store['free_bytes'] / 2**30:.1f} GiB free"
    )
    console.text(f"networks {found['networks']}")
    console.text(f"engine   {found['engine']}")
    console.text(f"weights  {', '.join(found['weights']) or 'none'}")
    for name, value in found["environment"].items():
        console.text(f"{name}={value}")
    for sentence in found["advice"]:
        console.text(f"→ {sentence}")
