"""The store's errors in one voice: the file, what is wrong with it, the command that helps."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from featx.errors import CorruptStoreError, StoreError

__all__ = ["corrupt", "storage_errors"]

_HINTS = {
    errno.ENOSPC: "Free some space and run the same command again; what was committed is kept.",
    errno.EDQUOT: "Free some quota and run the same command again; what was committed is kept.",
    errno.EROFS: "Choose a folder that can be written with --cache or FEATX_CACHE.",
    errno.EACCES: "Choose a folder that can be written with --cache or FEATX_CACHE.",
    errno.EPERM: "Choose a folder that can be written with --cache or FEATX_CACHE.",
}


def corrupt(path: Path, folder: Path, reason: str) -> CorruptStoreError:
    """An error naming the damaged file and the command that repairs its extractor's folder."""
    return CorruptStoreError(
        f"{path} is not what was written: {reason}. It was not used.",
        hint=f"Drop what is damaged with: featx cache verify --repair --cache "
        f"{shlex.quote(str(folder.parent))} (its rows are computed again by the next extract)",
    )


@contextlib.contextmanager
def storage_errors(action: str, path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into a `StoreError` with the path and the errno's text."""
    try:
        yield
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "I/O error")
        text = os.strerror(error.errno) if error.errno else str(error)
        raise StoreError(
            f"Cannot {action} {path}: {text} ({code}).", hint=_HINTS.get(error.errno or 0)
        ) from error
