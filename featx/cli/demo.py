"""``featx demo``."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command(name="demo")
@click.option("--folder", default="featx-demo", help="Where to put it. [featx-demo]")
@click.option("--overwrite", is_flag=True, help="Replace an earlier demo.")
def command(folder: str, overwrite: bool) -> None:
    """Make a small data set of real images and run everything on it, offline."""
    from featx.api.demo import demo

    demo(folder, overwrite=overwrite)
