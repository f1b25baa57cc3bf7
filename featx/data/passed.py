"""What a folder holds that is not read, in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from featx.data.kinds import Kind
from featx.data.manifest import Manifest, Passed
from featx.files import printable

_PLURALS = {
    "empty folder": "empty folders",
    "link to a folder already read": "links to folders already read",
    "repeated row": "repeated rows",
}


def passed_over(manifest: Manifest) -> str:
    """``6 HEIC (needs featx[heif]), 3 PDF, 1 .txt, 2 hidden``; empty where all was read."""
    named = {passed.kind.name: passed.kind for passed in manifest.passed}
    parts = []
    for name, n in _in_order(manifest.ignored, named):
        plain = f"{n:,} {name if n == 1 else _PLURALS.get(name, name)}"
        parts.append(named[name].counted(n) if name in named else plain)
    return ", ".join(parts)


def _in_order(counts: Mapping[str, int], named: Mapping[str, Kind]) -> list[tuple[str, int]]:
    """Kinds that may hold images first, the most frequent first."""

    def rank(item: tuple[str, int]) -> tuple[bool, int, str]:
        name, n = item
        return not (name in named and named[name].image), -n, name

    return sorted(counts.items(), key=rank)


def count_kinds(passed: Iterable[Passed]) -> str:
    """``6 HEIC (needs featx[heif]), 3 PDF``."""
    kinds = Counter(each.kind for each in passed)
    return ", ".join(kind.counted(n) for kind, n in kinds.most_common())


def unread_sentence(unread: Sequence[Passed]) -> str:
    """What ``--strict`` says of files of kinds that are not read."""
    n = len(unread)
    files = (
        "1 file that may hold an image was" if n == 1 else f"{n:,} files that may hold images were"
    )
    first = printable(unread[0].id)
    return f"{files} passed over ({count_kinds(unread)}), the first '{first}'."
