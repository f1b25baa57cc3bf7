"""Sorting scored files into one folder per class, never outside the folder that was named.

The tree is built under a temporary name beside its place, where nobody can have laid a trap, and
renamed when it is whole. Class names and file names are made safe for every common file system.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from featx import console
from featx.errors import FeatxError, UsageError
from featx.files import make_directory, printable, replace_folder, write_atomic

__all__ = ["UNREADABLE", "Placement", "check_sort_folder", "safe_names", "sort_files"]

UNREADABLE = "_unreadable"
MARKER = ".featx-sorted.json"  # says that featx made the folder, so that it may replace it
MAX_NAME_BYTES = 200  # common file systems stop at 255; leaves room for numbers
RESERVED = {"con", "prn", "aux", "nul"} | {f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10)}
UNSAFE = frozenset('/\\:*?"<>|')


@dataclass(frozen=True)
class Placement:
    """Where one file belongs: ``label`` None is a file that could not be read."""

    id: str
    path: str
    label: str | None


def check_sort_folder(folder: str | os.PathLike[str], root: str, *, overwrite: bool) -> None:
    """Refuse a folder that sorting could harm, before any work is done.

    Parameters
    ----------
    folder : path
        Where the sorted tree is to be.
    root : str
        Folder of the images.
    overwrite : bool
        Whether a tree that featx sorted before may be replaced.

    Raises
    ------
    UsageError
        It lies inside the images, is not empty without ``overwrite``, or holds something that
        featx did not sort.
    """
    target = Path(folder)
    shown = printable(str(target))
    if target.resolve().is_relative_to(Path(root).resolve()):
        raise UsageError(
            f"--sort-into {shown!r} lies inside the images; they would be scored again next time.",
            hint="Choose a folder beside them.",
        )
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise UsageError(f"--sort-into {shown!r} exists and is not a folder.")
    if not any(target.iterdir()):
        return
    if not (target / MARKER).is_file():
        raise UsageError(
            f"--sort-into {shown!r} holds files that featx did not sort; it is left alone.",
            hint="Choose a new or empty folder.",
        )
    if not overwrite:
        raise UsageError(
            f"--sort-into {shown!r} exists already.",
            hint="Choose another folder, or --overwrite to replace it.",
        )


def sort_files(
    folder: str | os.PathLike[str],
    placements: Sequence[Placement],
    *,
    mode: Literal["link", "copy"] = "link",
) -> dict[str, int]:
    """Place every file in the folder of its class; call `check_sort_folder` first.

    Parameters
    ----------
    folder : path
        The tree's place; a tree already there is replaced when the new one is whole.
    placements : sequence of Placement
        In a stable order, which decides who keeps a plain name.
    mode : {"link", "copy"}, default "link"
        ``"link"`` makes symbolic links to absolute paths, ``"copy"`` independent copies.

    Returns
    -------
    dict of str to int
        Folder name -> number of files placed in it.

    Raises
    ------
    FeatxError
        Links cannot be made here.
    OSError
        The disk is full or the folder cannot be written; nothing is left behind.
    """
    target = Path(folder).absolute()
    make_directory(target.parent)
    building = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    building.mkdir()
    try:
        counts = _fill(building, placements, mode)
        note = {"made_by": "featx score --sort-into", "mode": mode, "folders": counts}
        write_atomic(building / MARKER, json.dumps(note, indent=2).encode())
        replace_folder(building, target)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return counts


def _fill(building: Path, placements: Sequence[Placement], mode: str) -> dict[str, int]:
    folders = safe_names(sorted({p.label for p in placements if p.label is not None}))
    by_folder: dict[str, list[Placement]] = {}
    for placement in placements:
        name = UNREADABLE if placement.label is None else folders[placement.label]
        by_folder.setdefault(name, []).append(placement)
    counts = {}
    for name, placed in sorted(by_folder.items()):
        inside = building / name
        if inside.parent != building:  # safe_names forbids it; files must not depend on that alone
            raise FeatxError(f"The class folder {printable(name)!r} would lie outside {building}.")
        inside.mkdir()
        names = _file_names(placed)
        counts[name] = sum(_place(p, inside / n, mode) for p, n in zip(placed, names, strict=True))
    return counts


def _place(placement: Placement, link: Path, mode: str) -> bool:
    """Link or copy one file; one that vanished meanwhile is told and left out."""
    if mode == "link":
        try:
            link.symlink_to(placement.path)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and not _forbids_links(error):
                raise  # a full disk, say, which copies would fill too
            raise FeatxError(
                f"Links cannot be made in {printable(str(link.parent.parent))}: {error}.",
                hint="Use --copy.",
            ) from None
        return True
    try:
        shutil.copy2(placement.path, link)
    except (FileNotFoundError, PermissionError) as error:
        console.warn(f"not copied: {printable(placement.id)}: {error.strerror}")
        return False
    return True


def _forbids_links(error: OSError) -> bool:
    """Whether the file system or Windows makes no links here, whatever they are."""
    forbidden = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
    return error.errno in forbidden or getattr(error, "winerror", None) == 1314


def safe_names(classes: Sequence[str]) -> dict[str, str]:
    """Return a folder name for each class, safe on every common file system, no two alike.

    Separators, control characters, leading dots and reserved names are replaced by ``_``; names
    that then differ only in case or Unicode form get a number, as does a class ``_unreadable``.
    """
    taken = {_key(UNREADABLE), _key(MARKER)}
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
