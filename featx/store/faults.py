"""The store's errors: the file, what is wrong with it, the command that helps."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from featx.errors import CorruptStoreError, StoreError
from featx.shell import shell_line

_HINTS = {
    errno.ENOSPC: "Free some space and run the same command again; what was committed is kept.",
    errno.EDQUOT: "Free some quota and run the same command again; what was committed is kept.",
    errno.ENOTDIR: "Choose a folder with --cache or FEATX_CACHE: a file is where one is needed.",
    errno.ENAMETOOLONG: "Choose a shorter name with --cache or FEATX_CACHE.",
    errno.EROFS: "Choose a folder that can be written with --cache or FEATX_CACHE.",
    errno.EACCES: "Choose a folder that can be written with --cache or FEATX_CACHE.",
    errno.EPERM: "Choose a folder that can be written with --cache or FEATX_CACHE.",
}


def corrupt(path: Path, folder: Path, reason: str) -> CorruptStoreError:
    """An error naming the damaged file and the command that repairs its extractor's folder."""
    return CorruptStoreError(
        f"{path} is not what was written: {reason}. It was not used.",
        hint=f"Drop what is damaged with: {repair_command(folder.parent)} "
        "(its rows are computed again by the next extract)",
    )


def repair_command(cache: str | Path) -> str:
    """What drops all that is damaged in a cache."""
    return shell_line("featx", "cache", "verify", "--repair", "--cache", cache)


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
