"""``featx completion``."""

from __future__ import annotations

import click

from featx import console

__all__ = ["command"]


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a completion script: eval "$(featx completion bash)"."""
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    complete = get_completion_class(shell)
    assert complete is not None
    console.out(complete(root, {}, "featx", "_FEATX_COMPLETE").source())
