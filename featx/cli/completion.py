"""``featx completion``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand


@click.command(
    cls=LaidOutCommand,
    name="completion",
    examples=(
        'eval "$(featx completion bash)"',
        'eval "$(featx completion zsh)"',
        "featx completion fish | source",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a script that completes featx in a shell: commands, options, values, files, runs.

    One of these lines belongs into ~/.bashrc, ~/.zshrc (below compinit) or the config.fish of fish.
    """
    from click.shell_completion import get_completion_class

    from featx.cli import _completion  # noqa: F401 - registers its bash

    root = click.get_current_context().find_root().command
    complete = get_completion_class(shell)
    assert complete is not None
    console.out(complete(root, {}, "featx", "_FEATX_COMPLETE").source())
