"""Paths from a manifest file: relative to a root, and never outside it."""

# ruff: noqa: PTH100, PTH113, PTH114, PTH118, PTH120
# os.path: the difference between a name and where it leads is the point here.

from __future__ import annotations

import os
import re
import shlex
from functools import lru_cache
from urllib.parse import unquote

from featx.data.imagetypes import is_image_name
from featx.errors import DatasetError
from featx.files import printable

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")  # C:\photos
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_FORWARD = "Write paths relative to the folder of the list, with forward slashes."


class Root:
    """The folder that a manifest's paths are relative to.

    Parameters
    ----------
    folder : str
        An existing folder.
    beside : str, optional
        The folder of the list that names the paths; by default ``folder``.
    """

    def __init__(self, folder: str, beside: str | None = None) -> None:
        self.folder = os.path.abspath(folder)
        self._beside = self.folder if beside is None else os.path.abspath(beside)
        self._real = os.path.realpath(folder)
        self._real_folder = lru_cache(maxsize=65536)(os.path.realpath)

    def locate(self, path: str) -> tuple[str, str]:
        """Return the id and absolute path of a file that a manifest names.

        ``.``, ``..`` and doubled slashes are resolved by name; links are resolved on disk. An
        absolute path is fine where it lies within the root. The file need not exist.

        Raises
        ------
        DatasetError
            The path is empty, cannot be a path here, or leads outside the root, in itself or
            through a symbolic link.
        """
        if not path or "\0" in path:
            raise DatasetError(f"not a path: '{printable(path)}'")
        self._refuse_foreign(path)
        absolute = self._absolute(path)
        if not _within(absolute, self.folder):
            raise self._outside(path, absolute)
        folder, name = os.path.split(absolute)
        real = os.path.join(self._real_folder(folder), name)
        if os.path.islink(real):
            real = os.path.realpath(real)
        if not _within(real, self._real):
            raise self._outside(path, None)
        return absolute[len(_prefix(self.folder)) :].replace(os.sep, "/"), absolute

    def _absolute(self, path: str) -> str:
        """The path below the root.

        One with ``..`` that leads out of it is read from the list's own folder, as whoever wrote it
        there meant it.
        """
        absolute = os.path.normpath(os.path.join(self.folder, path))
        if not _within(absolute, self.folder) and ".." in path.split("/"):
            absolute = os.path.normpath(os.path.join(self._beside, path))
        if _within(absolute, self._real):  # an absolute path past a link in the root's own name
            absolute = self.folder + absolute[len(self._real) :]
        return absolute

    def _refuse_foreign(self, path: str) -> None:
        """Refuse what is a path elsewhere: here it would be one oddly named file."""
        shown = printable(path)
        if (address := _ADDRESS.match(path)) is not None:
            raise self._foreign_address(path, address[1].lower())
        home = path.partition("/")
        if path[0] == "~" and home[1] and not os.path.lexists(os.path.join(self.folder, home[0])):
            raise DatasetError(
                f"path '{shown}' begins with '~', which only a shell expands to the home folder",
                hint="Write the full path, or a path relative to the folder of the list.",
            )
        if os.sep == "/" and _DRIVE.match(path):
            rest = path[3:]
            raise DatasetError(
                f"path '{shown}' begins with a Windows drive, which does not exist here"
                + self._end_of(rest),
                hint=_FORWARD,
            )
        if os.sep == "/" and path.startswith("\\\\"):
            raise DatasetError(
                f"path '{shown}' is on a Windows network share, which has no such name on this "
                f"machine{self._end_of(path)}",
                hint=_FORWARD,
            )

    def _foreign_address(self, path: str, scheme: str) -> DatasetError:
        shown = printable(path)
        if scheme == "file":
            meant = unquote(path[len("file://") :], errors="surrogateescape")
            return DatasetError(
                f"path '{shown}' is an address, not a path",
                hint=f"Write it as a path: '{printable(meant)}'.",
            )
        return DatasetError(
            f"path '{shown}' is an address ({scheme}), and featx reads only files on this machine",
            hint="Download the images, and give their paths.",
        )

    def _end_of(self, path: str) -> str:
        """What of a path from another machine is there, as a question."""
        parts = [part for part in re.split(r"[\\/]", path) if part not in ("", ".", "..")]
        for start in range(len(parts)):
            if os.path.isfile(os.path.join(self.folder, *parts[start:])):
                return f"; did you mean '{printable('/'.join(parts[start:]))}'?"
        return ""

    def _outside(self, path: str, absolute: str | None) -> DatasetError:
        """``absolute`` is None where a link leads out, which no other root need mend."""
        shown, end = printable(path), ""
        hint = "Give a folder that contains all images with --root."
        if absolute is not None and is_image_name(absolute) and os.path.isfile(absolute):
            root = os.path.commonpath([absolute, self.folder])
            if os.path.dirname(root) == root:
                root = os.path.dirname(absolute)
            hint = f"Give a folder that contains all images: --root {shlex.quote(printable(root))}"
        elif absolute is not None:
            end = self._end_of(path)
            hint = f"No file is there. {hint}" if not end else _FORWARD
        if ".." in path.split("/"):
            hint += "\nPaths with '..' are then read from the folder of the list."
        return DatasetError(
            f"path '{shown}' leads outside the root '{printable(self.folder)}'{end}", hint=hint
        )


def _prefix(folder: str) -> str:
    return folder.rstrip(os.sep) + os.sep


def _within(path: str, folder: str) -> bool:
    return path.startswith(_prefix(folder))
