"""A model as a folder: written whole or not at all, read without trusting what is in it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from featx.errors import ModelError, UsageError
from featx.files import fsync_directory

__all__ = ["FolderReader", "write_folder"]

AT_FDCWD = -100  # linux/fcntl.h
RENAME_EXCHANGE = 2  # linux/fs.h


class FolderReader:
    """Bounded reads of the files in a model folder.

    Links are followed: caches of downloaded models consist of them, and nothing is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str, limit: int) -> bytes:
        """Return the file's bytes.

        Raises
        ------
        ModelError
            It is missing, is not a plain file, or is larger than ``limit`` bytes.
        """
        path = self.folder / name
        try:
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # never hang: FIFO
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}.") from None
        with open(handle, "rb") as stream:  # noqa: PTH123 - it takes over the descriptor
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{path} is not a plain file.")
            # a read allocates what it is asked for, so never ask for the limit itself
            data = stream.read(min(status.st_size, limit) + 1)
        if len(data) > limit:
            raise ModelError(f"{path} is larger than it may be ({limit} bytes).")
        return data


def write_folder(target: Path, files: Mapping[str, bytes], *, overwrite: bool) -> None:
    """Write ``files`` as the folder ``target``: a crash leaves the old folder, or none, never half.

    A temporary sibling is written and synced, then renamed; an old folder is exchanged with it
    in one step where the system can, else moved aside just before and removed after.

    Raises
    ------
    UsageError
        ``target`` exists and ``overwrite`` is False, or it is something else than a model.
    OSError
        The disk is full or the folder cannot be written; an old folder is untouched.
    """
    exists = _check_target(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    unique = f"{os.getpid()}.{secrets.token_hex(4)}"
    temporary = target.with_name(f".{target.name}.{unique}.tmp")
    try:
        temporary.mkdir()
        for name, data in files.items():
            _write_synced(temporary / name, data)
        fsync_directory(temporary)
        if exists:
            _replace(temporary, target, aside=target.with_name(f".{target.name}.{unique}.old"))
        else:
            os.rename(temporary, target)  # noqa: PTH104 - the tests cut the power at this call
        fsync_directory(target.parent)
    finally:  # what is left under the temporary name is a failed write, or the old model
        shutil.rmtree(temporary, ignore_errors=True)


def _check_target(target: Path, *, overwrite: bool) -> bool:
    """Whether there is an old model to replace; anything else in the way is refused."""
    if not os.path.lexists(target):
        return False
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        return True
    if not (target.is_dir() and (target / "model.json").is_file()) or target.is_symlink():
        raise UsageError(
            f"{target} exists and is not a model folder; it is not replaced.",
            hint="Choose another name.",
        )
    if not overwrite:
        raise UsageError(
            f"The model {target} exists already.", hint="Choose another name, or pass overwrite."
        )
    return True


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(temporary: Path, target: Path, *, aside: Path) -> None:
    """Put ``temporary`` in place of the folder ``target``; the old one is then to be removed."""
    if _exchange(temporary, target):
        return
    os.rename(target, aside)  # noqa: PTH104 - the tests cut the power at this call
    try:
        os.rename(temporary, target)  # noqa: PTH104
    except BaseException:
        with contextlib.suppress(OSError):
            os.rename(aside, target)  # noqa: PTH104
        raise
    fsync_directory(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names in one step; False where the system or file system cannot (not Linux, NFS)."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    names = AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b)
    return renameat2(*names, RENAME_EXCHANGE) == 0
