"""Names that a person reads as one, and words that stand for a missing value."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

from featx.files import printable

#: Texts that are no value in a manifest file, in any case: what programs write for a missing one.
NO_VALUE = frozenset({"", "nan", "null", "<na>", "#n/a"})

#: Texts that may be a name and may stand for a missing value; they are kept, with a warning.
_MISSING = (NO_VALUE - {""}) | {
    *("na", "n/a", "n.a.", "none", "nil", "nat", "-", "--", "---", "?", "??"),
    *("unknown", "unk", "undefined", "missing"),
}

_QUOTES = "\"'`´“”‘’«»„‚"
_NUMBER = re.compile(r"([+-]?)0*(\d+)(?:\.(\d*?)0*)?")


def without_invisible(name: str) -> str:
    """The name without characters that show nothing, and with odd spaces as plain ones.

    Such are zero-width spaces and joiners, marks of direction and soft hyphens.
    """
    return "".join(
        " " if c.isspace() else c for c in name if unicodedata.category(c) not in ("Cf", "Cc")
    )


def _number(name: str) -> str:
    """``1`` for ``01`` and ``1.0``; other names as they are."""
    found = _NUMBER.fullmatch(name.strip())
    if found is None:
        return name
    sign = "-" if found[1] == "-" else ""
    return sign + found[2] + (f".{found[3]}" if found[3] else "")


#: What is levelled, in the order it is tried alone, and how its difference is called.
_LEVELS = (
    ("in Unicode form", lambda name: unicodedata.normalize("NFC", name)),
    ("in case", lambda name: unicodedata.normalize("NFC", name).casefold()),
    ("in spaces", lambda name: " ".join(name.split())),
    ("in case or spaces", lambda name: " ".join(name.casefold().split())),
    ("in invisible characters", without_invisible),
    ("in spaces, underscores or hyphens", lambda name: re.sub(r"[\s_\-]+", " ", name.strip())),
    ("in width or form of characters", lambda name: unicodedata.normalize("NFKC", name)),
    ("in quotation marks", lambda name: name.strip(_QUOTES)),
    ("in how a number is written", _number),
)  # fmt: skip


@lru_cache(maxsize=65536)
def loose(name: str) -> str:
    """The name with all levelled that a person may not see."""
    plain = without_invisible(unicodedata.normalize("NFKC", name)).casefold()
    plain = plain.strip(_QUOTES + " \t")
    # Separators between words: a hyphen or an underscore alone is a name of its own.
    words = re.sub(r"(?<=\w)[\s_\-]+(?=\w)|\s+", " ", plain).strip()
    # An underscore counts as a letter of a word in patterns, so it is taken out by itself.
    words = " ".join(words.replace("_", " ").split()) or words
    return _number(unicodedata.normalize("NFC", words)) or name.strip() or name


def similar(counts: Mapping[str, int]) -> list[tuple[str, list[str]]]:
    """How names differ that a person reads as one, and those names; counts decide the order."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        alike[loose(name)].append(name)
    return [(_difference(names), names) for names in alike.values() if len(names) > 1]


def _difference(names: list[str]) -> str:
    for words, level in _LEVELS:
        if len({level(name) for name in names}) == 1:
            return words
    return "in case, spaces, punctuation or Unicode form"


def distinct(names: Iterable[str]) -> list[str]:
    """The names in quotes, with escapes for what would not be seen where they look the same."""
    names = list(names)
    plain = {" ".join(without_invisible(unicodedata.normalize("NFC", n)).split()) for n in names}
    if len(plain) == len(names):
        return [f"'{printable(name)}'" for name in names]
    return [f"'{printable(''.join(map(_escaped, name)))}'" for name in names]


def _escaped(c: str) -> str:
    hidden = unicodedata.combining(c) or unicodedata.category(c) == "Cf" or c.isspace()
    return c.encode("unicode_escape").decode() if hidden and c != " " else c


def missing_words(names: Iterable[str]) -> list[str]:
    """Those of the names that may stand for a missing value."""
    return [name for name in names if name.strip().lower() in _MISSING]
