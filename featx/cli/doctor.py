"""``featx doctor``."""

from __future__ import annotations

import click

from featx import console
from featx.cli.options import as_json

__all__ = ["command"]


@click.command(name="doctor")
@click.option("--cache", default=None, help="Cache folder. [$FEATX_CACHE, else ./cache]")
@as_json
def command(cache: str | None, as_json: bool) -> None:
    """Show what this machine has, what is missing, and how to get it."""
    from featx.api.doctor import doctor

    found = doctor(cache)
    if as_json:
        console.print_json(found)
        return
    console.table("", ("package", "version"), list(found["versions"].items()))
    console.out("")
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
    console.out(
        f"\ncache    {store['folder']}: {store['extractors']} extractors, {store['rows']:,} rows, "
        f"{store['free_bytes'] / 2**30:.1f} GiB free"
    )
    console.out(f"networks {found['networks']}")
    console.out(f"engine   {found['engine']}")
    console.out(f"weights  {', '.join(found['weights']) or 'none'}")
    for name, value in found["environment"].items():
        console.out(f"{name}={value}")
    for sentence in found["advice"]:
        console.out(f"→ {sentence}")
