"""Files that are either whole or absent, read with care, and named even when not UTF-8."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

# What an interrupted write leaves behind: ".<target>.<pid>.<8 hex digits>.tmp".
TEMPORARY_PATTERN = r"\..+\.\d+\.[0-9a-f]{8}\.tmp"

_NAME_BYTES = 255  # the longest name of common file systems
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF}


class OddFileError(OSError):
    """A link, pipe, folder or device where a plain file is expected, or one beyond all size."""


def fsync_directory(folder: str | os.PathLike[str]) -> None:
    """Make the names in ``folder`` durable (POSIX needs this after a rename).

    Some file systems (of networks, of virtual machines) have no such thing, and some folders may
    be written but not opened: there it is left out, as there is nothing else to do.
    """
    if os.name == "nt":  # Windows has no directory handles to sync; its rename is journalled.
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(handle)


def make_directory(folder: str | os.PathLike[str]) -> None:
    """Create ``folder`` and its missing parents, each durable in the one above it."""
    path = Path(folder).absolute()
    if path.is_dir():
        return
    make_directory(path.parent)
    with contextlib.suppress(FileExistsError):  # another process may be doing the same
        path.mkdir()
    fsync_directory(path.parent)


def write_atomic(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write ``data`` to ``path`` so that a crash leaves the old file or the new one, never a part.

    A temporary file in the same folder is written, synced and renamed, then the folder is synced.

    Raises
    ------
    OSError
        The disk is full or the folder cannot be written; the old file is untouched and the
        temporary one removed.
    """
    with _renamed_to(Path(path)) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            write_all(handle, memoryview(data).cast("B"))
            os.fsync(handle)
        finally:
            os.close(handle)


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write all of ``data`` to a descriptor: one call of the system may take a part only."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside ``path``; what is written there becomes ``path`` at the end.

    For writers that want a file name (pyarrow, zipfile). The temporary file is synced and renamed
    and the folder synced when the block ends well, and removed when it does not.
    """
    with _renamed_to(Path(path)) as temporary:
        yield temporary
        _fsync_file(temporary)


@contextlib.contextmanager
def built_files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Give a scratch folder beside ``names`` in ``folder``.

    They are moved there one by one, in order, when the block ends well.

    For writers that make several files at once: all of them are whole before the first is moved.
    """
    scratch = hidden_name(folder / names[-1], "tmp")
    scratch.mkdir()
    try:
        yield scratch
        for name in names:
            _fsync_file(scratch / name)
        for name in names:
            os.replace(scratch / name, folder / name)  # noqa: PTH105
        fsync_directory(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # made above, under a name nobody else has


@contextlib.contextmanager
def _renamed_to(target: Path) -> Iterator[Path]:
    """Give a hidden name beside ``target``.

    The synced file there becomes it if the block ends well, and is removed if not.
    """
    temporary = hidden_name(target, "tmp")
    try:
        yield temporary
        os.replace(temporary, target)  # noqa: PTH105 - the tests cut the power at this very call
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(target.parent)


def _fsync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def hidden_name(target: Path, ending: str) -> Path:
    """A new hidden name beside ``target``, ``.NAME.PID.8HEX.ENDING``, never too long."""
    tail = f".{os.getpid()}.{secrets.token_hex(4)}.{ending}"
    return target.with_name(f".{cut_name(target.name, len(tail) + 1)}{tail}")


def cut_name(name: str, spare_bytes: int) -> str:
    """The start of ``name`` that leaves ``spare_bytes`` of the longest name that there may be."""
    while len(os.fsencode(name)) > _NAME_BYTES - spare_bytes:
        name = name[:-1]
    return name


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open an existing plain file for reading and return its descriptor.

    Raises
    ------
    OddFileError
        It is a link, pipe, socket, device or folder: those can point anywhere or never end, and
        nothing that featx writes is one.
    OSError
        There is no such file, or it cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link; a socket
            raise OddFileError(errno.EINVAL, "not a plain file", os.fspath(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OddFileError(errno.EINVAL, "not a plain file", os.fspath(path))
    return handle


def read_range(handle: int, offset: int, size: int) -> bytes:
    """Read ``size`` bytes at ``offset``; fewer come back only where the file ends."""
    parts = []
    while size > 0:
        part = os.pread(handle, size, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def file_start(path: str | os.PathLike[str], size: int = 1 << 16) -> bytes:
    """The first bytes of a plain file; raises as `open_regular`."""
    handle = open_regular(path)
    try:
        return read_range(handle, 0, size)
    finally:
        os.close(handle)


def read_bounded(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read a plain file of at most ``limit`` bytes.

    Raises
    ------
    OddFileError
        It is not a plain file, or it is larger than ``limit``.
    OSError
        There is no such file, or it cannot be read.
    """
    data = file_start(path, limit + 1)
    if len(data) > limit:
        raise OddFileError(errno.EFBIG, f"larger than {limit} bytes", os.fspath(path))
    return data


def printable(name: str) -> str:
    """Return ``name`` with undecodable bytes and control characters as ``\\xNN`` escapes."""
    raw = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in raw)
