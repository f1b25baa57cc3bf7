"""A lock on a file name that a killed process does not keep, on any file system."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

#: What file systems without ``flock`` answer (Lustre, some of FUSE, NFS without its daemon).
_REFUSED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_SIGNATURE_BYTES = 200


class HeldError(Exception):
    """Another process holds the lock; the text says which, as far as it is known."""


@dataclass
class Lock:
    """A lock that is held.

    Parameters
    ----------
    path : Path
        The lock's file.
    handle : int
        Its descriptor, which the kernel's lock is on.
    stand_in : Path, optional
        The file that is the lock where the file system has none of its own.
    left : str
        The file's text when the lock was taken: the signature of a holder that was killed.
    """

    path: Path
    handle: int
    stand_in: Path | None = None
    left: str = ""

    def sign(self, text: str) -> None:
        """Say who holds the lock; a full disk must not stop the work over a courtesy."""
        with contextlib.suppress(OSError):
            os.ftruncate(self.handle, 0)
            os.pwrite(self.handle, text.encode("utf-8", "backslashreplace"), 0)

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; with ``remove`` its file goes too, first, while it is still held."""
        try:
            if remove:
                with contextlib.suppress(OSError):
                    self.path.unlink()
            if self.stand_in is not None:
                with contextlib.suppress(OSError):
                    self.stand_in.unlink()
            elif (fcntl := _fcntl()) is not None:
                # Explicit, because a forked child may still hold a copy of the descriptor.
                fcntl.flock(self.handle, fcntl.LOCK_UN)
        finally:
            os.close(self.handle)


def signature() -> str:
    """Who this process is, for people: pid, host, since when."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return f"pid {os.getpid()} on {socket.gethostname()} since {since}\n"


def take_lock(path: Path) -> Lock:
    """Take the lock at once, or say who has it.

    The lock is an advisory ``flock``: the kernel releases it when its holder ends, however it
    ends. Where the file system has none, a file beside it stands in, which holds its owner's pid
    and host: one whose owner has died on this host is taken over.

    Raises
    ------
    HeldError
        Another process, or another part of this one, has it.
    OSError
        The file cannot be opened or made.
    """
    fcntl = _fcntl()
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(path, flags, 0o666)
        try:
            stand_in = None
            if fcntl is None or not _flock(fcntl, handle):
                stand_in = _stand_in(path)
            # Between our open and our lock the holder may have removed the file: the lock is then
            # on a file without a name, and somebody else may hold the new one.
            if _still_there(handle, path):
                lock = Lock(path, handle, stand_in, _read(handle))
                lock.sign(signature())
                return lock
            if stand_in is not None:
                stand_in.unlink()
        except BlockingIOError:
            holder = _read(handle).strip()
            os.close(handle)
            shown = holder if holder.isprintable() and holder else "another process"
            raise HeldError(shown) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its holder removed this file between our open and our lock: again


def wait_for_lock(path: Path, patience_s: float, *, poll_s: float = 0.02) -> Lock:
    """Take the lock, trying again for some seconds while somebody has it; raises as `take_lock`."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return take_lock(path)
        except HeldError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(poll_s)


def _flock(fcntl, handle: int) -> bool:  # type: ignore[no-untyped-def] # a module
    """Whether the kernel's lock is now ours; False where the file system has none."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in _REFUSED:
            return False
        raise
    return True


def _stand_in(path: Path) -> Path:
    """Make the file that is the lock here; BlockingIOError while its owner lives."""
    place = path.with_name(f"{path.name}.held")
    for _ in range(2):
        try:
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            if not _is_dead(place):
                raise BlockingIOError from None
            with contextlib.suppress(FileNotFoundError):
                place.unlink()
            continue
        with open(handle, "wb") as file:  # noqa: PTH123 - it takes over the descriptor
            file.write(f"{os.getpid()} {socket.gethostname()}".encode())
        return place
    raise BlockingIOError


def _is_dead(place: Path) -> bool:
    """Whether the owner of a file that stands in for a lock has certainly ended."""
    try:
        pid, host = place.read_text("utf-8", "replace").split()
        if host != socket.gethostname():
            return False
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return False


def _still_there(handle: int, path: Path) -> bool:
    mine = os.fstat(handle)
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)


def _read(handle: int) -> str:
    """What the lock's file says."""
    with contextlib.suppress(OSError):
        return os.pread(handle, _SIGNATURE_BYTES, 0).decode("utf-8", "replace")
    return ""


def _fcntl():  # type: ignore[no-untyped-def] # a module, or None on Windows
    try:
        import fcntl
    except ImportError:
        return None
    return fcntl
