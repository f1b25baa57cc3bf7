"""Whether two places on the disk are one, or one lies in the other, whatever they are called."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

Identity = tuple[int, int]  # device and number


class Location:
    """Where something will be written: real folders, and a name that need not exist.

    Places are compared by their real paths, and what exists also by what it is on the disk, so
    that symbolic links, hard links and the case of letters hide nothing.

    Parameters
    ----------
    target : Path
        Absolute.

    Attributes
    ----------
    path : Path
        With all links of its folders followed.
    """

    def __init__(self, target: Path) -> None:
        self.path = Path(os.path.realpath(target.parent), target.name)
        self._own, self._around = _seen(self.path), _around(self.path)

    def touches(self, there: Path) -> str | None:
        """``"is"``, ``"lies inside"`` or ``"holds"`` of another real path, or None."""
        its = _seen(there)
        if self.path == there or (self._own is not None and self._own == its):
            return "is"
        if there in self.path.parents or (its is not None and its in self._around):
            # what is a file holds nothing, though a path may be written as if it did
            return None if os.path.isfile(there) else "lies inside"  # noqa: PTH113 - never raises
        if self.path in there.parents or (self._own is not None and self._own in _around(there)):
            return "holds"
        return None


def identity(path: Path) -> Identity | None:
    """Device and number of what is there, links not followed; None where nothing is.

    Raises
    ------
    OSError
        The name is too long, or it may not be looked at.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        status = path.lstat()
        return status.st_dev, status.st_ino
    return None


def path_beside(path: str | os.PathLike[str], name: str) -> str:
    """``name`` in the folder that holds ``path``, as short as a person here would write it."""
    found = Path(os.path.abspath(path)).parent / name  # noqa: PTH100 - "." has no parent
    here = Path.cwd()
    near = found.parent == here or found.parent in here.parents
    return os.path.relpath(found, here) if near else os.fspath(found)


def _seen(path: Path) -> Identity | None:
    """The same with links followed; None also where that cannot be found out."""
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None


def _around(path: Path) -> set[Identity]:
    """Identities of the folders that a path lies in."""
    return {seen for parent in path.parents if (seen := _seen(parent)) is not None}


def real_paths(paths: Iterable[str]) -> dict[str, str]:
    """Real path -> path of very many files, most of which share a folder and are no links."""
    folders: dict[str, str] = {}

    def real(path: str) -> str:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        found = os.path.join(folders[folder], name)  # noqa: PTH118 - there are millions of them
        odd = name in {"", ".", ".."} or os.path.islink(found)  # noqa: PTH114
        return os.path.realpath(path) if odd else found

    return {real(path): path for path in paths}
