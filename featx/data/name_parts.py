"""What a file is called, taken apart: fields, numbers behind words, moments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SEPARATORS = re.compile(r"[\W_]+")
#: ``P65``, ``patient_012``, ``sub-01``: letters of one word, at most one separator, a number.
_BEHIND_WORD = re.compile(r"([A-Z]+(?![a-z])|[A-Z]?[a-z]+)[\W_]?(\d+)")
#: A hash between separators: what its letters and digits are says nothing.
_HASH = re.compile(r"(?<![^\W_])(?=\d*[a-fA-F])(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}(?![^\W_])")
_RUN = re.compile(r"\0+|\d+|[^\W\d_]+")
_NUMBERS = re.compile(r"(\d+)")
_MOMENT = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.:]?(\d\d)[-_.:]?(\d\d)[-_ T.]*(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)"
)


def stem_of(id: str) -> str:
    """A file's name without its folders and its ending; a UUID in it is one field."""
    name = id.rsplit("/", 1)[-1]
    stem = name.rsplit(".", 1)[0] or name
    return _UUID.sub(lambda found: found[0].replace("-", ""), stem)


def folders_of(id: str) -> list[str]:
    """The folders above a file, the outermost first."""
    return id.split("/")[:-1]


def name_fields(id: str) -> list[str]:
    """A file's name split at everything that is no letter and no digit: ``name:0`` and so on."""
    return [part for part in _SEPARATORS.split(stem_of(id)) if part]


def part_at(parts: list[str], number: int) -> str | None:
    """One of the parts, from 0, or below 0 from the end; None where there is none."""
    return parts[number] if -len(parts) <= number < len(parts) else None


def free_name(name: str, taken: set[str]) -> str:
    """``name``, or ``name (2)`` and so on where that is taken; it is taken then."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    taken.add(free)
    return free


def numbers_behind_words(id: str) -> Iterator[tuple[str, str, int]]:
    """Each word that a number follows: the word in lower case, the number, where it ends."""
    for found in _BEHIND_WORD.finditer(_without_hashes(stem_of(id))):
        yield found[1].lower(), found[2], found.end()


def runs_of(id: str) -> list[tuple[str, int]]:
    """Each run of letters or of digits in a file's name, and where it ends; a hash is one run."""
    stem = stem_of(id)
    runs = _RUN.finditer(_without_hashes(stem))
    return [(stem[run.start() : run.end()], run.end()) for run in runs]


def natural_key(id: str) -> list[str | int]:
    """What sorts files by name with their numbers as numbers."""
    parts = _NUMBERS.split(stem_of(id).lower())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)]


def _without_hashes(stem: str) -> str:
    return _HASH.sub(lambda found: "\0" * len(found[0]), stem)


def moment_in(text: str) -> float | None:
    """Seconds since 1970 of the first date with a time in a text; None where there is none."""
    for found in _MOMENT.finditer(text):
        try:
            moment = datetime(*(int(part) for part in found.groups()))  # type: ignore[arg-type]
        except ValueError:
            continue
        return (moment - datetime(1970, 1, 1)).total_seconds()
    return None
