"""Writing files that are either whole or absent, and naming files that may not be UTF-8."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["fsync_directory", "printable", "write_atomic"]


def fsync_directory(folder: str | os.PathLike[str]) -> None:
    """Make the names in ``folder`` durable (POSIX needs this after a rename)."""
    if os.name == "nt":  # Windows has no directory handles to sync; its rename is journalled.
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write ``data`` to ``path`` so that a crash leaves the old file or the new one, never a part.

    A temporary file in the same folder is written, synced and renamed, then the folder is synced.

    Raises
    ------
    OSError
        The disk is full or the folder cannot be written; the old file is untouched and the
        temporary one removed.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try:
            view = memoryview(data).cast("B")
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, target)  # noqa: PTH105 - the tests cut the power at this very call
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(target.parent)


def printable(name: str) -> str:
    """Return ``name`` with undecodable bytes and control characters as ``\\xNN`` escapes."""
    raw = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in raw)
