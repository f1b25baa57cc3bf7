"""Sorting scored files into one folder per class, never outside the folder that was named.

The tree is built under a temporary name beside its place, where nobody can have laid a trap, and
renamed when it is whole. Class names and file names are made safe for every common file system.
What is inside the images is copied; a link that leads out of them stays a link.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from featx import console
from featx.errors import FeatxError
from featx.files import open_regular, printable, write_atomic
from featx.ours import FolderKind, read_json
from featx.replacing import built_folder

UNREADABLE, UNSURE = "_unreadable", "_unsure"
MARKER = ".featx-sorted.json"  # marks the folder as featx's, so that it may be replaced
MAX_NAME_BYTES = 200  # common file systems stop at 255; leaves room for numbers
RESERVED = {"con", "prn", "aux", "nul"} | {f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10)}
SHOWN = 10  # files that were not placed, by name
COPY_BYTES = 1 << 20  # read at once
#: What makes the whole tree impossible, whichever file it was met at.
FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE}
UNSAFE = frozenset('/\\:*?"<>|')


@dataclass(frozen=True)
class Placement:
    """Where one file belongs.

    ``label`` None is a file that could not be read; one whose prediction is ``unsure`` lies with
    the others of its kind.
    """

    id: str
    path: str
    label: str | None
    unsure: bool = False


def _is_tree(folder: Path) -> bool:
    return read_json(folder / MARKER).get("made_by") == "featx score --sort-into"


def _knows(folder: Path) -> Callable[[str], bool]:
    """A file of the tree is as it was placed: a link, or a copy that nobody has changed since."""
    note = read_json(folder / MARKER)
    files, counts, linked = note.get("files"), note.get("folders"), note.get("mode") == "link"
    there: dict[str, int] = {}

    def known(relative: str) -> bool:
        name, _, file = relative.partition("/")
        if relative == MARKER:
            return True
        status = (folder / relative).lstat()
        if isinstance(files, dict):
            was = files.get(name, {}).get(file, 0)
            return stat.S_ISLNK(status.st_mode) if was is None else was == _state(status)
        # a tree of a version that only counted
        if not isinstance(counts, dict) or name not in counts or "/" in file:
            return False
        if linked:
            return stat.S_ISLNK(status.st_mode)
        if name not in there:
            there[name] = len(os.listdir(folder / name))  # noqa: PTH208 - names only
        return there[name] <= int(counts[name])

    return known


def _state(status: os.stat_result) -> list[int]:
    """Of a copy, what changes when somebody works on it."""
    return [status.st_size, status.st_mtime_ns]


TREE = FolderKind("a sorted folder", _is_tree, _knows, room_bytes=1 << 16)


def sort_files(
    folder: str | os.PathLike[str],
    placements: Sequence[Placement],
    *,
    root: str | os.PathLike[str],
    mode: Literal["link", "copy"] = "link",
) -> dict[str, int]:
    """Place every file in the folder of its class.

    Parameters
    ----------
    folder : path
        The tree's place, claimed as a `TREE`; one already there is replaced when the new one is
        whole.
    placements : sequence of Placement
        In a stable order, which decides who keeps a plain name.
    root : path
        Folder of the images: what a link in it leads to outside of it is not copied.
    mode : {"link", "copy"}, default "link"
        ``"link"`` makes symbolic links to absolute paths, ``"copy"`` independent copies.

    Returns
    -------
    dict of str to int
        Folder name -> number of files placed in it. Those that could not be placed (vanished, not
        readable, no plain files) are named, counted and left out.

    Raises
    ------
    FeatxError
        Links cannot be made here.
    OSError
        The disk is full or the folder cannot be written; nothing is left behind.
    """
    with built_folder(Path(folder).absolute(), TREE) as building:
        sorter = _Sorter(building, Path(root).absolute(), mode)
        counts = sorter.place_all(placements)
        note = {
            "made_by": "featx score --sort-into",
            "mode": mode,
            "folders": counts,
            "files": sorter.files,
        }
        write_atomic(building / MARKER, json.dumps(note).encode())
    sorter.tell()
    return counts


class _NotPlacedError(Exception):
    """One file cannot be placed; the text says why."""


@dataclass
class _Sorter:
    """Fills one tree.

    Parameters
    ----------
    building : Path
    root : Path
        Of the images.
    mode : {"link", "copy"}

    Attributes
    ----------
    files : dict
        Folder -> name -> None for a link, size and time of a copy.
    """

    building: Path
    root: Path
    mode: str
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    missed: list[tuple[str, str]] = field(default_factory=list)
    led_out: int = 0

    def __post_init__(self) -> None:
        self.real_root = Path(os.path.realpath(self.root))

    def place_all(self, placements: Sequence[Placement]) -> dict[str, int]:
        """Place the files; return how many each folder has."""
        folders = safe_names(sorted({p.label for p in placements if p.label is not None}))
        by_folder: dict[str, list[Placement]] = {}
        for placement in placements:
            name = UNREADABLE if placement.label is None else folders[placement.label]
            name = UNSURE if placement.unsure else name
            by_folder.setdefault(name, []).append(placement)
        for name, placed in sorted(by_folder.items()):
            inside = self.building / name
            if inside.parent != self.building:  # not on safe_names alone
                raise FeatxError(
                    f"The class folder {printable(name)!r} would lie outside {self.building}."
                )
            inside.mkdir()
            self.files[name] = {}
            for placement, file in zip(placed, _file_names(placed), strict=True):
                try:
                    self.files[name][file] = self._place(placement, inside / file)
                except _NotPlacedError as error:
                    self.missed.append((placement.id, str(error)))
        return {name: len(files) for name, files in self.files.items()}

    def _place(self, placement: Placement, place: Path) -> list[int] | None:
        if self.mode == "link":
            _link(placement.path, place)
            return None
        if self._leads_out(placement.path):
            self.led_out += 1
            _link(placement.path, place)
            return None
        _copy(placement.path, place)
        return _state(place.lstat())

    def _leads_out(self, path: str) -> bool:
        """Whether a link in the images takes a file from elsewhere."""
        if Path(os.path.realpath(path)).is_relative_to(self.real_root):
            return False
        return Path(path).is_relative_to(self.root) or Path(path).is_symlink()

    def tell(self) -> None:
        """Say which files are not there as asked."""
        for name, reason in self.missed[:SHOWN]:
            console.warn(f"not sorted: {printable(name)}: {reason}")
        if len(self.missed) > SHOWN:
            console.warn(f"... and {len(self.missed) - SHOWN:,} more files that are not sorted")
        if self.led_out:
            console.warn(
                f"{self.led_out:,} files are links that lead out of the images; they are linked, "
                "not copied"
            )


def _link(source: str, place: Path) -> None:
    try:
        place.symlink_to(source)
    except (OSError, NotImplementedError) as error:
        number = getattr(error, "errno", None)
        if number in FATAL:
            raise  # a full disk, say, which copies would fill too
        if isinstance(error, OSError) and not _forbids_links(error):
            raise _NotPlacedError(error.strerror or str(error)) from None
        raise FeatxError(
            f"Links cannot be made in {printable(str(place.parent.parent.parent))}: "
            f"{getattr(error, 'strerror', None) or error}.",
            hint="Use --copy.",
        ) from None


def _copy(source: str, place: Path) -> None:
    """Copy one plain file, which another one that cannot be read does not stop."""
    try:
        handle = open_regular(os.path.realpath(source))
    except OSError as error:
        if error.errno in FATAL:
            raise
        raise _NotPlacedError(error.strerror or str(error)) from None
    with open(handle, "rb") as old, place.open("xb") as new:  # noqa: PTH123 - takes over the handle
        while data := _read(old, place):
            new.write(data)
        new.flush()
        os.fsync(new.fileno())
    with contextlib.suppress(OSError):  # times and rights, as far as this file system has them
        shutil.copystat(source, place)


def _read(old: Any, place: Path) -> bytes:
    try:
        data: bytes = old.read(COPY_BYTES)
    except OSError as error:
        place.unlink(missing_ok=True)
        raise _NotPlacedError(error.strerror or str(error)) from None
    return data


def _forbids_links(error: OSError) -> bool:
    """Whether the file system or Windows makes no links here, whatever they are."""
    forbidden = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
    return error.errno in forbidden or getattr(error, "winerror", None) == 1314


def safe_names(classes: Sequence[str]) -> dict[str, str]:
    """Return a folder name for each class, safe on every common file system, no two alike.

    Separators, control characters, leading dots and reserved names are replaced by ``_``; names
    that then differ only in case or Unicode form get a number, as do classes ``_unreadable`` and
    ``_unsure``.
    """
    taken = {_key(UNREADABLE), _key(UNSURE), _key(MARKER)}
    return {label: _unique(_safe(label), "", taken) for label in classes}


def _file_names(placed: Iterable[Placement]) -> list[str]:
    """A name for each file: its own, or with its subfolders where that is taken."""
    taken: set[str] = set()
    names = []
    for placement in placed:
        *above, name = placement.id.split("/")
        name = _safe(name)
        if _key(name) in taken and above:
            name = _safe("__".join([*above, name]))
        names.append(_unique(*os.path.splitext(name), taken))  # noqa: PTH122 - it is a name
    return names


def _safe(name: str) -> str:
    """One path component that means the same everywhere."""
    name = "".join("_" if c in UNSAFE or unicodedata.category(c) == "Cc" else c for c in name)
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # lone surrogates that no file name can hold
        name = name.encode("utf-8", "replace").decode("utf-8").replace("?", "_")
    name = name.rstrip(". ")
    if name.startswith("."):
        name = "_" + name[1:]
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - it is a name
    if not name or stem.lower() in RESERVED:
        stem = f"_{stem}"
    while len(os.fsencode(stem + suffix)) > MAX_NAME_BYTES:
        stem, suffix = (stem[:-1], suffix) if stem else ("", suffix[:-1])
    return stem + suffix


def _unique(stem: str, suffix: str, taken: set[str]) -> str:
    """``stem + suffix``, with the first free number between them if need be; claims it."""
    name, number = stem + suffix, 1
    while _key(name) in taken:
        number += 1
        name = f"{stem}_{number}{suffix}"
    taken.add(_key(name))
    return name


def _key(name: str) -> str:
    """What file systems that ignore case or Unicode form may take for the same name."""
    return unicodedata.normalize("NFC", name).casefold()
