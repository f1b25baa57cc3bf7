"""``--group-from``: the group of an image, taken from its path."""

from __future__ import annotations

import re
from collections.abc import Callable

from featx import console
from featx.data.manifest import Manifest
from featx.data.name_parts import folders_of, name_fields, part_at
from featx.errors import UsageError
from featx.files import printable

_PLACE = re.compile(r"(name|folder):(.*)", re.DOTALL)
_FORMS = (
    "Give name:0 (the first field of the file's name, split at everything that is no letter and "
    "no digit; name:-1 is the last), folder:1 (the second folder of the path; folder:-1 is the one "
    "that the file is in), or a regular expression with one group: 'patient(\\d+)'."
)


def groups_from_paths(manifest: Manifest, rule: str) -> dict[str, str]:
    """Group of each image that the rule finds one for.

    Parameters
    ----------
    manifest : Manifest
    rule : str
        ``name:N``, ``folder:N``, or a regular expression that is searched in the id (the path
        relative to the data set), with one group or with one that is named ``group``.

    Raises
    ------
    UsageError
        The rule cannot be read, or no path has such a part.
    """
    take = path_part(rule)
    found = {id: value for id in manifest.ids if (value := take(id))}
    if not found:
        raise UsageError(
            f"--group-from '{printable(rule)}' finds no group in any of "
            f"{console.counted(len(manifest), 'path')}, for instance not in "
            f"'{printable(manifest.ids[0])}'.",
            hint=_FORMS,
        )
    n, n_groups = len(found), len(set(found.values()))
    sentence = f"Groups from paths: {console.counted(n_groups, 'group')} of {n:,} images"
    without = len(manifest) - n
    more = f"; {console.counted(without, 'image')} without one, each kept as its own group"
    console.log(f"{sentence}{more if without else ''}.")
    if n_groups == 1 and not without:
        console.warn(
            f"--group-from '{printable(rule)}' puts every image into one group, "
            f"'{printable(next(iter(found.values())))}'."
        )
    elif n_groups == n and n > 1:
        console.warn(f"--group-from '{printable(rule)}' gives every image a group of its own.")
    return found


def is_path_rule(text: str) -> bool:
    """Whether a name may be a rule, and is not only the name of a column."""
    return _PLACE.fullmatch(text) is not None or "(" in text


def path_part(rule: str, flag: str = "--group-from") -> Callable[[str], str | None]:
    """What takes a part out of an id, None where it has none; ``flag`` is what gave the rule.

    Raises
    ------
    UsageError
        The rule cannot be read.
    """
    if place := _PLACE.fullmatch(rule):
        try:
            number = int(place[2])
        except ValueError:
            raise UsageError(
                f"{flag} '{printable(rule)}' has no whole number after the colon.",
                hint=_FORMS,
            ) from None
        parts = name_fields if place[1] == "name" else folders_of
        return lambda id: part_at(parts(id), number)
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise UsageError(
            f"{flag} '{printable(rule)}' is no regular expression: {error}.", hint=_FORMS
        ) from None
    which: int | str = "group" if "group" in pattern.groupindex else 1
    if pattern.groups != 1 and which == 1:
        raise UsageError(
            f"{flag} '{printable(rule)}' has {pattern.groups} groups in parentheses: it "
            "needs one, or one that is named: (?P<group>...).",
            hint=_FORMS,
        )

    def searched(id: str) -> str | None:
        match = pattern.search(id)
        return None if match is None else match[which]

    return searched
