"""The committer's lock: one process at a time replaces an extractor's index."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from featx.errors import StoreError, StoreLockedError
from featx.store.faults import storage_errors

__all__ = ["LOCK_NAME", "committer_lock"]

LOCK_NAME = "lock"
LOCK_TIMEOUT_S = 120.0
_POLL_S = 0.01


@contextlib.contextmanager
def committer_lock(folder: Path, *, timeout_s: float | None = None) -> Iterator[None]:
    """Hold the exclusive lock of one extractor's folder.

    The lock is an advisory ``flock``: the kernel releases it when its holder ends, however it
    ends, so a stale file never blocks. The file's text (pid, host, since when) is for people.

    Parameters
    ----------
    folder : Path
        The extractor's folder.
    timeout_s : float, optional
        Seconds to wait for another holder; `LOCK_TIMEOUT_S` by default.

    Raises
    ------
    StoreLockedError
        Another process kept the lock all that time; the message names it.
    StoreError
        The lock file cannot be opened or the platform has no ``flock``.
    """
    handle = _acquire(folder / LOCK_NAME, LOCK_TIMEOUT_S if timeout_s is None else timeout_s)
    try:
        yield
    finally:
        _release(handle)


def _acquire(path: Path, timeout_s: float) -> int:
    fcntl = _fcntl()
    deadline = time.monotonic() + timeout_s
    while True:
        with storage_errors("open the lock", path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_there(handle, path):
                _sign(handle)
                return handle
            os.close(handle)  # gc removed this file between our open and our flock: take the new
        except BlockingIOError:
            holder = _read_holder(handle)
            os.close(handle)
            if time.monotonic() >= deadline:
                raise StoreLockedError(
                    f"{path} is held by {holder}; waited {timeout_s:g} s.",
                    hint="Wait for that process to finish, or end it, then run the same again.",
                ) from None
            time.sleep(_POLL_S)
        except BaseException as error:
            os.close(handle)
            if isinstance(error, OSError):
                with storage_errors("lock", path):
                    raise
            raise


def _release(handle: int) -> None:
    fcntl = _fcntl()
    try:
        # Explicit, because a forked child may still hold a copy of the descriptor.
        fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _still_there(handle: int, path: Path) -> bool:
    mine = os.fstat(handle)
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)


def _sign(handle: int) -> None:
    """Say who holds the lock; a full disk must not stop the work over a courtesy."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(
            handle, f"pid {os.getpid()} on {socket.gethostname()} since {since}\n".encode(), 0
        )


def _read_holder(handle: int) -> str:
    """Who signed the lock, for a message."""
    with contextlib.suppress(OSError):
        text = os.pread(handle, 200, 0).decode("ascii", "replace").strip()
        if text.isprintable() and text:
            return text
    return "another process"


def _fcntl():  # type: ignore[no-untyped-def] # a module, or an error on platforms without it
    try:
        import fcntl
    except ImportError:
        raise StoreError("Writing to the embedding store needs flock (Linux or macOS).") from None
    return fcntl
