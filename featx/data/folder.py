"""A folder of images to rows: which files are images, and what their folders say of them."""

# ruff: noqa: PTH100, PTH116, PTH118
# Ids are strings: a Path per file would cost more than listing it.

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from featx.data.imagetypes import is_image_name
from featx.data.manifest import SPLITS, Manifest, Row, Split
from featx.errors import DatasetError
from featx.files import printable

__all__ = ["label_and_split", "list_images", "read_folder"]


def read_folder(folder: str, *, labelled: bool) -> Manifest:
    """Read a folder of images.

    Parameters
    ----------
    folder : str
        An existing folder.
    labelled : bool
        Whether folder names are classes and splits; False leaves both None.

    Raises
    ------
    DatasetError
        A folder may not be listed, or its layout has two readings (see `label_and_split`).
    """
    root = os.path.abspath(folder)
    ids, ignored = list_images(root)
    meanings: Sequence[tuple[str | None, Split | None]] = [(None, None)] * len(ids)
    if labelled:
        meanings = label_and_split(ids)
    rows = tuple(
        Row(id=id, path=os.path.join(root, *id.split("/")), label=label, split=split)
        for id, (label, split) in zip(ids, meanings, strict=True)
    )
    return Manifest(root=root, source=folder, rows=rows, ignored=ignored)


def list_images(root: str) -> tuple[list[str], dict[str, int]]:
    """Find every image file below ``root``.

    Symbolic links are followed, but no real folder is read twice: all real folders come first,
    so a link back up or across adds nothing and a folder's own name wins over a link to it.
    A link to nothing whose name is an image's stays a row, to be quarantined.

    Returns
    -------
    ids : list of str
        Relative POSIX paths, sorted by their bytes.
    ignored : dict of str to int
        Reason -> count of what was passed over.
    """
    ids: list[str] = []
    ignored: Counter[str] = Counter()
    visited: set[tuple[int, int]] = set()
    real, linked = deque([""]), deque[str]()
    while real or linked:
        prefix = real.popleft() if real else linked.popleft()
        folder = os.path.join(root, prefix)
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            ignored["link to a folder already read"] += 1
            continue
        visited.add((status.st_dev, status.st_ino))
        entries = _entries(folder)
        if not entries:
            ignored["empty folder"] += 1
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):
                ignored["hidden"] += 1
            elif _is(stat.S_ISDIR, entry):
                (linked if entry.is_symlink() else real).append(name + "/")
            elif not is_image_name(entry.name):
                ignored["not an image"] += 1
            elif _is(stat.S_ISREG, entry, unknown=True):
                ids.append(name)
            else:  # a pipe, socket or device: reading it could wait for ever
                ignored["not a regular file"] += 1
    return sorted(ids, key=os.fsencode), dict(ignored)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Entries of a folder sorted by name; an unlistable folder would lose rows, so it is fatal."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise DatasetError(
            f"Cannot list folder '{printable(os.path.normpath(folder))}': {error.strerror}.",
            hint="Make it readable, or move it out of the data set.",
        ) from None


def _is(kind: Callable[[int], bool], entry: os.DirEntry[str], *, unknown: bool = False) -> bool:
    """Whether an entry, followed if it is a link, is of a kind; ``unknown`` if it leads nowhere."""
    try:
        return kind(entry.stat().st_mode)
    except OSError:  # a link to nothing or to itself, or a file that vanished
        return unknown


def label_and_split(ids: Iterable[str]) -> list[tuple[str | None, Split | None]]:
    """What the folders in each id mean.

    * ``<class>/**/file``: the first folder is the class, however deep the file lies.
    * ``<split>/<class>/**/file`` where *every* top folder is named like a split
      (see `featx.data.manifest.SPLITS`).
    * An image outside any class folder has no label; one outside any split folder no split.

    Beside folders of other names, a folder named like a split is a class if its images lie
    directly in it (``valid`` beside ``invalid``).

    Raises
    ------
    DatasetError
        A folder named like a split, with folders of its own, stands beside folders that are not.
    """
    parts = [PurePosixPath(id).parts for id in ids]
    tops = {p[0] for p in parts if len(p) > 1}
    named_like_splits = {top for top in tops if top.lower() in SPLITS}
    if tops == named_like_splits:
        return [_within_split(p) for p in parts]
    nested = {p[0] for p in parts if len(p) > 2} & named_like_splits
    if nested:
        others = sorted(tops - named_like_splits)
        raise DatasetError(
            f"Folders named like splits ({_listed(nested)}) stand beside others "
            f"({_listed(others)}): are these splits or classes?",
            hint="Keep only train, val and test folders at the top, or describe the images in a "
            "manifest file with columns path, label and split.",
        )
    return [(p[0] if len(p) > 1 else None, None) for p in parts]


def _within_split(parts: tuple[str, ...]) -> tuple[str | None, Split | None]:
    """Label and split of one id where all top folders are splits."""
    if len(parts) == 1:
        return None, None
    return parts[1] if len(parts) > 2 else None, SPLITS[parts[0].lower()]


def _listed(names: Iterable[str]) -> str:
    names = sorted(names)
    shown = ", ".join(printable(name) for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
