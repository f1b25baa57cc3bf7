"""Unknown names where the choices run to thousands: the nearest few, and how to list the rest."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from featx.errors import UnknownNameError

__all__ = ["unknown_name"]


def unknown_name(kind: str, name: str, choices: Iterable[str], *, command: str) -> UnknownNameError:
    """Build the error for ``name`` among many ``choices``.

    Parameters
    ----------
    kind : str
        What the name should be the name of.
    name : str
        The unknown name.
    choices : iterable of str
        All names there are.
    command : str
        The command that lists them all.
    """
    choices = list(choices)
    near = difflib.get_close_matches(name, choices, n=6, cutoff=0.4) or choices[:6]
    some = near if len(choices) > len(near) else choices
    listed = f" ({len(some)} of {len(choices)}; all: {command})" if len(choices) > len(some) else ""
    return UnknownNameError(f"{kind}{listed}", name, some)
