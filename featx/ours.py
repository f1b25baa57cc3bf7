"""What proves that a file or folder was written by featx, so that featx may replace it.

Each writer declares a kind beside itself: what it writes and how that is recognised. Whatever is
not recognised belongs to somebody, and is never replaced or removed.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.files import TEMPORARY_PATTERN, OddFileError, file_start, printable, read_bounded

CLAIM_ENDING = ".featx-claim"
_MOST_HEAD_BYTES = 1 << 24  # of a table: a column for each of thousands of classes
_MOST_JSON_BYTES = 1 << 28
#: What systems put into any folder that is looked at, and what a killed featx leaves in its own.
_LITTER = re.compile(
    rf"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|\.nfs[0-9a-f]+|{TEMPORARY_PATTERN}"
    rf"|(\..*)?{re.escape(CLAIM_ENDING)}(\.held)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class FileKind:
    """A file that featx writes.

    Parameters
    ----------
    what : str
        For sentences, such as ``"a table of scores"``.
    recognises : callable
        Whether a plain file with something in it is one.
    room_bytes : int
        Space that it takes at the very least.
    """

    what: str
    recognises: Callable[[Path], bool]
    room_bytes: int = 1 << 16

    def fault(self, path: Path) -> str | None:
        """Why the file may not be replaced; None where featx wrote it or nothing is in it."""
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return "is a link"
        if stat.S_ISDIR(status.st_mode):
            return "is a folder"
        if not stat.S_ISREG(status.st_mode):
            return "is not a plain file"
        with contextlib.suppress(Exception):  # whatever a reader makes of somebody's file
            if status.st_size == 0 or self.recognises(path):
                return None
        return f"is not {self.what} that featx wrote"


@dataclass(frozen=True)
class FolderKind:
    """A folder that featx writes.

    Parameters
    ----------
    what : str
        For sentences, such as ``"a run"``.
    recognises : callable
        Whether a folder with something in it is one.
    knows : callable
        Of a folder that is one: a function that says of each file in it, by its relative POSIX
        path, whether featx put it there.
    room_bytes : int
        Space that it takes at the very least.
    in_place : bool
        Files are replaced one by one, and others in the folder are left alone.
    """

    what: str
    recognises: Callable[[Path], bool]
    knows: Callable[[Path], Callable[[str], bool]]
    room_bytes: int = 1 << 22
    in_place: bool = False

    def fault(self, path: Path) -> str | None:
        """Why the folder may not be replaced; None where all in it is featx's, or nothing is."""
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return "is a link"
        if not stat.S_ISDIR(status.st_mode):
            return "is a file"
        if is_empty(path):
            return None
        if not self.is_one(path):
            return f"is not {self.what} that featx wrote"
        if not self.in_place and (stranger := next(self.strangers(path), None)) is not None:
            changed = "which featx did not write, or which has changed since"
            return f"holds '{printable(stranger)}', {changed}"
        return None

    def is_one(self, path: Path) -> bool:
        """Whether a folder is of this kind, whatever else is in it."""
        with contextlib.suppress(Exception):
            return self.recognises(path)
        return False

    def strangers(self, path: Path) -> Iterator[str]:
        """Files in a folder of this kind that featx did not put there."""
        knows = self.knows(path)
        for relative in _files(path):
            if _LITTER.fullmatch(relative.rpartition("/")[2]):
                continue
            with contextlib.suppress(Exception):  # of a marker that somebody altered
                if knows(relative):
                    continue
            yield relative


def findings_kind(
    what: str, document: str, keys: Set[str], others: Mapping[str, Callable[[Path], bool]]
) -> FolderKind:
    """A folder of a JSON document with these keys and of other files, each replaced by itself.

    What else is in the folder stays. ``others`` says how each of the other files is recognised.
    """

    def recognises(folder: Path) -> bool:
        files = [path for path in folder.iterdir() if path.name in others]
        found = read_json(folder / document).keys() >= keys
        return found and all(others[path.name](path) for path in files)

    known = {document, *others}
    return FolderKind(
        what, recognises, lambda folder: known.__contains__, room_bytes=1 << 21, in_place=True
    )


def is_empty(folder: Path) -> bool:
    """Whether nothing is in a folder but what systems put there by themselves."""
    return all(_LITTER.fullmatch(name) for name in os.listdir(folder))  # noqa: PTH208 - names only


def is_mount(folder: Path) -> bool:
    """Whether a disk, or a folder of elsewhere (as containers do), is mounted here."""
    if os.path.ismount(folder):
        return True
    place = os.path.realpath(folder).replace(" ", r"\040")
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
        return any(line.split(" ")[4] == place for line in lines)
    return False


def remove_known(folder: Path, kind: FolderKind) -> bool:
    """Remove of a folder what featx put there, and no other file; whether it is all gone.

    Links are removed, never followed.
    """
    strangers = set(kind.strangers(folder)) if kind.is_one(folder) else set(_files(folder))
    for relative in reversed(list(_files(folder))):  # what proves that it is ours lies on top
        if relative not in strangers:
            (folder / relative).unlink(missing_ok=True)
    for below, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):  # not empty: something of somebody's is in it
            os.rmdir(below)  # noqa: PTH106
    return not os.path.lexists(folder)


def _files(folder: Path) -> Iterator[str]:
    """Relative POSIX path of everything below a folder that is not a folder.

    Links are not followed.
    """
    for below, folders, names in os.walk(folder):
        inside = Path(below)
        links = [name for name in folders if (inside / name).is_symlink()]
        for name in sorted([*names, *links]):
            yield (inside / name).relative_to(folder).as_posix()


# --- what files say of themselves ---------------------------------------------------------------


def is_page(path: Path) -> bool:
    """Whether a file is a page of featx's: any, also of versions that did not yet sign them."""
    start = file_start(path, 1024)
    signed = b'<meta name="generator" content="featx"/>' in start
    return start.startswith(b"<!doctype html>") and (
        signed or b"default-src &#x27;none&#x27;; img-src data:; style-src" in start
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where the file holds something else."""
    try:
        found = json.loads(read_bounded(path, _MOST_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_table(first: tuple[str, ...], last: str | None = None) -> Callable[[Path], bool]:
    """Whether a CSV, JSONL or Parquet file has these columns first, and that one last."""

    def recognises(path: Path) -> bool:
        names = _columns(path)
        return tuple(names[: len(first)]) == first and (last is None or names[-1] == last)

    return recognises


def _columns(path: Path) -> list[str]:
    if path.suffix.lower() == ".parquet":
        return list(_parquet_columns(path))
    start = file_start(path, _MOST_HEAD_BYTES)
    line = start.split(b"\n", 1)[0].decode("utf-8", "surrogateescape")
    if path.suffix.lower() == ".jsonl":
        row = json.loads(line) if line.startswith("{") else {}
        return list(row) if isinstance(row, dict) else []
    return next(csv.reader(io.StringIO(line)), [])


def _parquet_columns(path: Path) -> list[str]:
    if file_start(path, 4) != b"PAR1":
        raise OddFileError(f"{path} is not a Parquet file")
    try:
        from pyarrow import parquet
    except ImportError:  # nobody can write one then, so nothing is to be replaced
        return []
    try:
        names: list[str] = parquet.read_schema(path).names
    except Exception:  # pyarrow raises kinds of its own for damaged files
        return []
    return names
