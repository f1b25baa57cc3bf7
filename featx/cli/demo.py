"""``featx demo``."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command(name="demo")
@click.option("--folder", default="featx-demo", help="Where to put it. [featx-demo]")
@click.option("--images-only", is_flag=True, help="Make the data set and stop.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier demo.")
def command(folder: str, images_only: bool, overwrite: bool) -> None:
    """Make a small data set of real images and run everything on it, offline."""
    from featx.api.demo import demo

    demo(folder, images_only=images_only, overwrite=overwrite)
