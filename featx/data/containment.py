"""Paths from a manifest file: relative to a root, and never outside it."""

# ruff: noqa: PTH100, PTH114, PTH118
# os.path: the difference between a name and where it leads is the point here.

from __future__ import annotations

import os
import re
from functools import lru_cache

from featx.errors import DatasetError
from featx.files import printable

__all__ = ["Root"]

_WINDOWS_ABSOLUTE = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # C:\photos or \\server\share


class Root:
    """The folder that a manifest's paths are relative to.

    Parameters
    ----------
    folder : str
        An existing folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        self._real = os.path.realpath(folder)
        self._real_folder = lru_cache(maxsize=65536)(os.path.realpath)

    def locate(self, path: str) -> tuple[str, str]:
        """Return the id and absolute path of a file that a manifest names.

        ``.``, ``..`` and doubled slashes are resolved by name; links are resolved on disk. An
        absolute path is fine where it lies within the root. The file need not exist.

        Raises
        ------
        DatasetError
            The path is empty, cannot be a path, or leads outside the root, in itself or through
            a symbolic link.
        """
        if not path or "\0" in path:
            raise DatasetError(f"not a path: '{printable(path)}'")
        if os.sep == "/" and _WINDOWS_ABSOLUTE.match(path):
            raise self._outside(path)  # here it would be one oddly named file
        absolute = os.path.normpath(os.path.join(self.folder, path))
        if _within(absolute, self._real):  # an absolute path past a link in the root's own name
            absolute = self.folder + absolute[len(self._real) :]
        if not _within(absolute, self.folder):
            raise self._outside(path)
        folder, name = os.path.split(absolute)
        real = os.path.join(self._real_folder(folder), name)
        if os.path.islink(real):
            real = os.path.realpath(real)
        if not _within(real, self._real):
            raise self._outside(path)
        return absolute[len(_prefix(self.folder)) :].replace(os.sep, "/"), absolute

    def _outside(self, path: str) -> DatasetError:
        return DatasetError(
            f"path '{printable(path)}' leads outside the root '{printable(self.folder)}'",
            hint="Name a root that holds all images with --root.",
        )


def _prefix(folder: str) -> str:
    return folder.rstrip(os.sep) + os.sep


def _within(path: str, folder: str) -> bool:
    return path.startswith(_prefix(folder))
