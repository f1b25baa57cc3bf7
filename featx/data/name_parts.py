"""What a file is called, taken apart: fields, numbers behind words, moments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

__all__ = ["folders_of", "moment_in", "name_fields", "numbers_behind_words", "stem_of"]

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SEPARATORS = re.compile(r"[\W_]+")
#: ``P65``, ``patient_012``, ``sub-01``: letters of one word, at most one separator, a number.
_BEHIND_WORD = re.compile(r"([A-Z]+(?![a-z])|[A-Z]?[a-z]+)[\W_]?(\d+)")
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


def numbers_behind_words(id: str) -> Iterator[tuple[str, str, int]]:
    """Each word that a number follows: the word in lower case, the number, where it ends."""
    for found in _BEHIND_WORD.finditer(stem_of(id)):
        yield found[1].lower(), found[2], found.end()


def moment_in(text: str) -> float | None:
    """Seconds since 1970 of the first date with a time in a text; None where there is none."""
    for found in _MOMENT.finditer(text):
        try:
            moment = datetime(*(int(part) for part in found.groups()))  # type: ignore[arg-type]
        except ValueError:
            continue
        return (moment - datetime(1970, 1, 1)).total_seconds()
    return None
