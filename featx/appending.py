"""Files of lines of JSON that are only ever added to, by several processes at once."""

from __future__ import annotations

import os
from pathlib import Path

from featx import console
from featx.files import fsync_directory, make_directory, printable, write_all
from featx.locks import HeldError, wait_for_lock
from featx.parsing import parse_json
from featx.replacing import claim_file

PATIENCE_S = 30.0  # another process holds the file for as long as adding its lines takes
TAIL_BYTES = 1 << 16  # read at once, backwards, to find where the last line begins


def append_lines(place: Path, lines: bytes) -> None:
    """Add whole lines durably; a last line that a crash cut off is removed first.

    Processes wait for each other, so that no two lines are mixed. Where the lines cannot be written
    whole, none of them stays.

    Raises
    ------
    OSError
        The file cannot be written, or another process holds it for half a minute.
    """
    make_directory(place.parent)
    try:
        lock = wait_for_lock(claim_file(place), PATIENCE_S)
    except HeldError as held:
        raise TimeoutError(f"another command is writing it ({held})") from None
    try:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(place, flags, 0o666)
        try:
            whole = _mend(handle, place) + lines
            end = os.lseek(handle, 0, os.SEEK_END)
            try:
                write_all(handle, whole)
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, end)
                raise
        finally:
            os.close(handle)
        fsync_directory(place.parent)
    finally:
        lock.release(remove=True)


def _mend(handle: int, place: Path) -> bytes:
    """Remove a last line that is not whole; a newline where one that is whole lacks it."""
    tail, start = b"", os.fstat(handle).st_size
    while start and b"\n" not in tail:
        size = min(TAIL_BYTES, start)
        start -= size
        tail = os.pread(handle, size, start) + tail
    last = tail.rpartition(b"\n")[2]
    if not last:
        return b""
    if is_object(last):
        return b"\n"
    os.ftruncate(handle, start + len(tail) - len(last))
    console.warn(
        f"the last line of {printable(os.fspath(place))} was cut off when it was written, and is "
        "removed"
    )
    return b""


def is_object(line: bytes) -> bool:
    """Whether a line holds an object of JSON, whole."""
    try:
        return isinstance(parse_json(line), dict)
    except ValueError:
        return False
