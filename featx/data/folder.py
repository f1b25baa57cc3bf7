"""A folder of images to rows: which files are images, and what their folders mean."""

# ruff: noqa: PTH100, PTH116, PTH118, PTH122
# Ids are strings: a Path per file would cost more than listing it.

from __future__ import annotations

import os
import stat
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from featx.console import counted
from featx.data.imagetypes import is_image_name
from featx.data.kinds import NOT_REGULAR, Kind, kind_of
from featx.data.layout import FolderLayout, read_layout
from featx.data.manifest import Manifest, Passed, Row, Split
from featx.errors import DatasetError
from featx.files import printable

MOST_NAMED = 5
HIDDEN = Kind("hidden")
#: Folders that systems, network drives and archives leave beside images, with copies and
#: thumbnails in them. (Those whose names begin with a dot are hidden anyway.)
_SYSTEM = (
    "__macosx", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "$recycle.bin",
    "recycler", "lost+found", "system volume information", "__pycache__", "@tmp",
)  # fmt: skip


@dataclass
class Listing:
    """What a folder holds.

    Parameters
    ----------
    ids : list of str
        Images: relative POSIX paths, sorted by their bytes.
    passed : list of Passed
        Files of other kinds, sorted likewise.
    ignored : Counter of str
        Reason -> count of what was passed over, the files of ``passed`` by kind.
    empty : list of str
        Folders with nothing in them.
    """

    ids: list[str] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    empty: list[str] = field(default_factory=list)


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
        A folder may not be listed, or its layout has two readings (see `read_layout`).
    """
    root = os.path.abspath(folder)
    found = list_images(root)
    meanings: Sequence[tuple[str | None, Split | None]] = [(None, None)] * len(found.ids)
    remarks: list[str] = []
    if labelled:
        folders = [_folders(id) for id in found.ids]
        layout = read_layout(folders)
        meanings = [layout.meaning(each) for each in folders]
        remarks = [*layout.remarks, *_lost(found, layout)]
    rows = tuple(
        Row(id=id, path=os.path.join(root, *id.split("/")), label=label, split=split)
        for id, (label, split) in zip(found.ids, meanings, strict=True)
    )
    return Manifest(root, folder, rows, dict(found.ignored), tuple(found.passed), tuple(remarks))


def _folders(id: str) -> tuple[str, ...]:
    return tuple(id.split("/")[:-1])


def _lost(found: Listing, layout: FolderLayout) -> Iterator[str]:
    """Folders that would be classes if anything in them were read."""
    read = {layout.home(_folders(id)) for id in found.ids}
    lost: dict[str, Counter[Kind]] = defaultdict(Counter)
    for passed in found.passed:
        home = layout.home(_folders(passed.id))
        if home is not None and home not in read and passed.kind != HIDDEN:
            lost[home][passed.kind] += 1
    for name in found.empty:
        home = layout.home(tuple(name.split("/")))
        if home is not None and home not in read:
            lost.setdefault(home, Counter())
    for home, kinds in sorted(lost.items())[:MOST_NAMED]:
        n, shown = kinds.total(), printable(home)
        counts = ", ".join(kind.counted(k) for kind, k in kinds.most_common())
        files = f"{counted(n, 'file')}, none of which can be read: {counts}"
        yield f"Folder '{shown}' has {files}." if n else f"Folder '{shown}' has no file in it."
    if len(lost) > MOST_NAMED:
        yield f"{len(lost) - MOST_NAMED:,} more folders have no file that is read."


def list_images(root: str) -> Listing:
    """Find every image file below ``root``.

    Symbolic links are followed, but no real folder is read twice: all real folders come first,
    so a link back up or across adds nothing and a folder's own name wins over a link to it.
    A link to nothing whose name is an image's stays a row, to be quarantined.
    """
    found = Listing()
    visited: set[tuple[int, int]] = set()
    real, linked = deque([""]), deque[str]()
    while real or linked:
        prefix = real.popleft() if real else linked.popleft()
        folder = os.path.join(root, prefix)
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            found.ignored["link to a folder already read"] += 1
            continue
        visited.add((status.st_dev, status.st_ino))
        entries = _entries(folder)
        if not entries:
            found.ignored["empty folder"] += 1
            found.empty.append(prefix[:-1])
        pages = {
            os.path.splitext(e.name)[0]
            for e in entries
            if e.name.lower().endswith((".htm", ".html"))
        }
        for entry in entries:
            name = prefix + entry.name
            if not _is(stat.S_ISDIR, entry):
                _sort(found, name, entry)
            elif entry.name.startswith("."):
                found.ignored["hidden"] += 1
            elif _is_system(entry.name, pages):
                found.ignored[f"system folder ({printable(entry.name)})"] += 1
            else:
                (linked if entry.is_symlink() else real).append(name + "/")
    found.ids.sort(key=os.fsencode)
    found.passed.sort(key=lambda passed: os.fsencode(passed.id))
    return found


def _sort(found: Listing, name: str, entry: os.DirEntry[str]) -> None:
    """Add one file to the images or to what is passed over."""
    regular = _is(stat.S_ISREG, entry, unknown=True)
    if entry.name.startswith("."):
        kind = HIDDEN
    elif is_image_name(entry.name) and regular:
        found.ids.append(name)
        return
    elif regular:
        kind = kind_of(entry.path)
    else:  # a pipe, socket or device: reading it could wait for ever
        kind = NOT_REGULAR
    found.passed.append(Passed(name, kind))
    found.ignored[kind.name] += 1


def _is_system(name: str, pages: set[str]) -> bool:
    """Whether a folder is a system's own, or holds the pictures of a saved web page."""
    return name.lower() in _SYSTEM or (name.endswith("_files") and name[:-6] in pages)


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
