"""Reading a file's bytes once, and naming them by their content."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from featx.data.lookup import suggestion
from featx.errors import DecodeError

__all__ = ["FILE_LIMIT_BYTES", "content_hash", "read_bytes"]

#: Larger files are refused: no image of a sane number of pixels needs this much.
FILE_LIMIT_BYTES = 2**30


def read_bytes(path: str) -> bytes:
    """Read one whole file.

    Raises
    ------
    DecodeError
        The file is missing, may not be read, is not a regular file (reading a named pipe would
        wait for ever), or is larger than `FILE_LIMIT_BYTES`.
    """
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise DecodeError("not a regular file")
        if status.st_size > FILE_LIMIT_BYTES:
            raise DecodeError(
                f"file too large: {status.st_size} bytes; the limit is {FILE_LIMIT_BYTES}"
            )
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DecodeError(f"file not found{suggestion(path)}") from None
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror or error}") from None


def content_hash(data: bytes) -> bytes:
    """SHA-256 of a file's bytes, 32 bytes: the key of its embedding in the store."""
    return hashlib.sha256(data).digest()
