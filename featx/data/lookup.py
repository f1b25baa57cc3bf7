"""A file that is not there under its name: what is there under nearly the same one.

Nothing is ever read by such a guess; it is told, for a person to mend the name.
"""

# ruff: noqa: PTH112, PTH113, PTH118, PTH120, PTH122
# os.path: names that hold anything, and very many of them.

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from urllib.parse import unquote

from featx.data.imagetypes import is_image_name
from featx.data.likeness import loose, without_invisible
from featx.files import printable

MOST_ENTRIES = 50_000  # of a folder that is looked through
MOST_FOLDERS = 200  # beside the images' that are tried

Key = Callable[[str], str]


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _other_bytes(name: str) -> str:
    """Bytes that are not UTF-8, read as western European ones."""
    try:
        name.encode()
    except UnicodeEncodeError:
        with suppress(UnicodeEncodeError):  # a surrogate that no file name can hold
            name = name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return _nfc(name)


def _stem(name: str) -> str:
    return os.path.splitext(_nfc(name))[0]


#: How the names may differ -> what is then equal. The stricter first.
_KEYS: tuple[tuple[str, Key], ...] = (
    ("the same name in another Unicode form", _nfc),
    ("in other case", lambda name: _nfc(name).casefold()),
    ("without a space at its end", lambda name: _nfc(name).strip()),
    ("without characters that show nothing", lambda name: without_invisible(_nfc(name)).strip()),
    ("without quotation marks", lambda name: _nfc(name).strip("\"'")),
    ("with %-escapes decoded", lambda name: _nfc(unquote(name, errors="surrogateescape"))),
    ("the list is not UTF-8", _other_bytes),
    ("nearly the same name", loose),
)
_LAST_KEYS: tuple[tuple[str, Key], ...] = (
    ("with another ending", _stem),
    ("with another ending", lambda name: _stem(name).casefold().strip()),
)


def suggestion(path: str, base: str | None = None) -> str:
    """``; did you mean 'b/é.png' (…)?`` for a path that does not exist, or nothing.

    Parameters as of `nearly`.
    """
    found = nearly(path, base)
    if found is None:
        return ""
    name, how = found
    return f"; did you mean '{printable(name)}' ({how})?"


def nearly(path: str, base: str | None = None) -> tuple[str, str] | None:
    """A file whose name differs from ``path`` only in what a person may not see, and how.

    Parameters
    ----------
    path : str
        Of a file that does not exist.
    base : str, optional
        The folder from which the found name is given; by default the first one above ``path``
        that exists.
    """
    folder, rest = _existing(os.path.normpath(path), base)
    ways = [("", rest)]
    if "\\" in rest:
        ways.append(("with forward slashes", rest.replace("\\", "/")))
    if "%" in rest:
        ways.append(("with %-escapes decoded", unquote(rest, errors="surrogateescape")))
    for how, name in ways:
        if how and os.path.isfile(os.path.join(folder, name)):
            return name, how
        found = _walk(folder, [part for part in name.split("/") if part not in ("", ".")])
        if found is not None:
            return found[0], " and ".join(dict.fromkeys(w for w in (how, *found[1]) if w))
    return None


def _existing(path: str, base: str | None) -> tuple[str, str]:
    """The deepest folder above ``path`` that exists, and the rest of the path."""
    folder = base if base is not None else os.path.dirname(path)
    while base is None and not os.path.isdir(folder):
        above = os.path.dirname(folder)
        if above == folder:
            break
        folder = above
    return folder, os.path.relpath(path, folder) if path.startswith(os.sep) else path


def _walk(folder: str, parts: list[str]) -> tuple[str, list[str]] | None:
    """Follow a path, at each step by its name or by the only one that is nearly it."""
    found: list[str] = []
    words: list[str] = []
    for at, part in enumerate(parts):
        here = os.path.join(folder, *found)
        if part != ".." and os.path.lexists(os.path.join(here, part)):
            found.append(part)
            continue
        match = _match(here, part, last=at == len(parts) - 1)
        if match is None:
            return None
        found.append(match[0])
        words.append(match[1])
    whole = os.path.join(folder, *found)
    return ("/".join(found), words) if found and os.path.isfile(whole) else None


def _match(folder: str, name: str, *, last: bool) -> tuple[str, str] | None:
    try:
        index = _index(folder, os.stat(folder).st_mtime_ns)  # noqa: PTH116
    except OSError:
        return None
    keys = _KEYS + _LAST_KEYS if last else _KEYS
    for place, (words, key) in enumerate(keys):
        hits = index[place].get(key(name), [])
        if len(hits) > 1:
            hits = [hit for hit in hits if is_image_name(hit)]
        if len(hits) == 1:
            return hits[0], _words(name, hits[0], words, key)
        if hits:  # two that are nearly it: neither is told
            return None
    return None


def _words(name: str, found: str, words: str, key: Key) -> str:
    """How exactly the two differ, where a kind of difference has two directions."""
    if key is _nfc:
        decomposed = unicodedata.normalize("NFD", found) == found
        return f"the same name in {'decomposed' if decomposed else 'composed'} Unicode"
    if key is _stem and not os.path.splitext(name)[1]:
        return "with its ending"
    return words


@lru_cache(maxsize=64)
def _index(folder: str, changed: int) -> list[dict[str, list[str]]]:
    """For each key, the names of a folder by it; made again when the folder has ``changed``."""
    names = os.listdir(folder)  # noqa: PTH208
    if len(names) > MOST_ENTRIES:
        raise OSError(f"more than {MOST_ENTRIES} entries")
    found = []
    for _, key in _KEYS + _LAST_KEYS:
        index: dict[str, list[str]] = defaultdict(list)
        for name in names:
            index[key(name)].append(name)
        found.append(dict(index))
    return found


def hint_for(id: str, root: str, *, rooted: bool) -> str:
    """What to do where no file of a manifest is there: the root or the prefix that would do."""
    for folder in _other_roots(root):
        if os.path.isfile(os.path.join(folder, id)):
            return f"Paths are read from '{printable(root)}'. Try --root {printable(folder)}"
    if nearly(os.path.join(root, id)) is not None:
        return "Write the paths as the files are named, or rename the files."
    parts = id.replace("\\", "/").split("/")
    for start in range(1, len(parts)):
        if os.path.isfile(os.path.join(root, *parts[start:])):
            return (
                f"'{printable('/'.join(parts[start:]))}' is there: leave "
                f"'{printable('/'.join(parts[:start]))}/' out of the paths."
            )
    if any("\udc80" <= c <= "\udcff" for c in id):
        return "The list is not UTF-8: save it as UTF-8."
    more = "" if rooted else " --root names another folder."
    return f"Paths are read from '{printable(root)}'.{more}"


def _other_roots(root: str) -> list[str]:
    """The folder above, and those in the root."""
    try:
        with os.scandir(root) as entries:
            inside = [e.path for e in islice(entries, MOST_FOLDERS) if e.is_dir()]
    except OSError:
        inside = []
    return [os.path.dirname(root), *sorted(inside)]
