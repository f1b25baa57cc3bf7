"""Unknown names where the choices run to thousands: those that hold it, else the nearest few."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from featx.console import first_few
from featx.errors import UnknownNameError

_SHOWN = 8


def unknown_name(
    kind: str, name: str, choices: Iterable[str], *, command: str, prefix: str = ""
) -> UnknownNameError:
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
    prefix : str, optional
        What stands before a choice where a person types it.
    """
    choices = list(choices)
    holding = names_holding(name, choices)
    if holding:
        message = names_message(name, [f"{prefix}{choice}" for choice in holding])
        return UnknownNameError(kind, name, choices, listed=f"{message} All names: {command}")
    near = difflib.get_close_matches(name, choices, n=6, cutoff=0.4) or choices[:6]
    some = near if len(choices) > len(near) else choices
    listed = f" ({len(some)} of {len(choices)}; all: {command})" if len(choices) > len(some) else ""
    return UnknownNameError(f"{kind}{listed}", name, some)


def names_holding(part: str, names: Sequence[str]) -> list[str]:
    """The names that ``part`` is part of, or else those that hold its words in the same order.

    Parameters
    ----------
    part : str
        ``"dinov2"``, or words as in ``"vit_small_dino"``; capitals do not matter.
    names : sequence of str

    Returns
    -------
    list of str
        The name itself first, then the shorter ones.
    """
    wanted = part.casefold()
    found = [name for name in names if wanted and wanted in name.casefold()]
    words = _words(wanted)
    if not found and words:
        pattern = re.compile(".*".join(map(re.escape, words)))
        found = [name for name in names if pattern.search(name.casefold())]
    return sorted(found, key=lambda n: (n.casefold().rpartition(":")[2] != wanted, len(n), n))


def names_message(part: str, names: Sequence[str]) -> str:
    """``'dinov2' is part of 8 names: …``, the first few of them."""
    n = "1 name" if len(names) == 1 else f"{len(names)} names"
    whole = any(part.casefold() in name.casefold() for name in names)
    message = f"{part!r} is part of" if whole else f"The words of {part!r} are in"
    return f"{message} {n}: {first_few(names, _SHOWN)}."


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", text) if word]
