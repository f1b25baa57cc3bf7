"""Reading a file's bytes once, and naming files by their bytes and images by their pixels."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash

from featx.data.held import HeldImage
from featx.data.lookup import suggestion
from featx.errors import DecodeError

if TYPE_CHECKING:
    from PIL import Image

#: Larger files are refused: no image of a sane number of pixels needs this much.
FILE_LIMIT_BYTES = 2**30
PIXEL_HASH_BYTES = 16
#: Pixels hashed at once: what this copies of an image stays small, whatever the image.
_AT_ONCE = 2**22


def read_bytes(path: str) -> bytes:
    """Read one whole file, or what stands for one of an image in memory.

    Raises
    ------
    DecodeError
        The file is missing, may not be read, is not a regular file (reading a named pipe would
        wait for ever), or is larger than `FILE_LIMIT_BYTES`.
    """
    if isinstance(path, HeldImage):
        return _held_content(path)
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


def _held_content(image: HeldImage) -> bytes:
    try:
        return image.content()
    except Exception as error:  # Pillow may load it only now, and a broken file may raise anything
        raise DecodeError(f"cannot be read: {error or type(error).__name__}") from error


def content_hash(data: bytes) -> bytes:
    """SHA-256 of a file's bytes, 32 bytes: the key of its embedding in the store."""
    return hashlib.sha256(data).digest()


def pixel_hash(image: Image.Image) -> bytes:
    """Hash of a decoded image's size and pixels, 16 bytes; equal for copies in other files.

    128 bits of XXH3: images that differ never share one by chance. It costs a quarter of what a
    SHA-256 does, which would be seen in the time of an extraction; whoever makes two images share
    it on purpose has them kept in one fold.

    Parameters
    ----------
    image : PIL.Image.Image
        Upright, mode RGB, before anything is resized or cut.
    """
    width, height = image.size
    digest = xxhash.xxh3_128(f"{width} {height}\0".encode())
    step = max(1, _AT_ONCE // width)
    if step >= height:
        digest.update(image.tobytes())
        return digest.digest()
    for top in range(0, height, step):
        digest.update(image.crop((0, top, width, min(top + step, height))).tobytes())
    return digest.digest()
