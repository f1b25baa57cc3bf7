"""The committer's lock: one process at a time replaces an extractor's index."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from featx.errors import StoreLockedError
from featx.locks import HeldError, wait_for_lock
from featx.store.faults import storage_errors

LOCK_NAME = "lock"
LOCK_TIMEOUT_S = 120.0
_POLL_S = 0.01


@contextlib.contextmanager
def committer_lock(folder: Path, *, timeout_s: float | None = None) -> Iterator[None]:
    """Hold the exclusive lock of one extractor's folder.

    A holder that ends, however it ends, does not keep it (`featx.locks.take_lock`), so a stale file
    never blocks. The file's text (pid, host, since when) is for people.

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
        The lock file cannot be opened.
    """
    path = folder / LOCK_NAME
    timeout_s = LOCK_TIMEOUT_S if timeout_s is None else timeout_s
    try:
        with storage_errors("lock", path):
            lock = wait_for_lock(path, timeout_s, poll_s=_POLL_S)
    except HeldError as held:
        raise StoreLockedError(
            f"{path} is held by {held}; waited {timeout_s:g} s.",
            hint="Wait for that process to finish, or end it, then run the same again.",
        ) from None
    try:
        yield
    finally:
        lock.release()
