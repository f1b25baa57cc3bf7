"""Opening image bytes with Pillow: allow-listed, size-checked and silent, from any thread."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from PIL import Image, ImageFile

from featx.data.imagetypes import FORMATS, HEIF, has_heif
from featx.errors import DecodeError, UsageError

__all__ = ["PIXEL_LIMIT", "open_image", "silent_pillow"]

#: Images with more pixels than this are refused before they are decoded. Pillow's own default
#: (a quarter of a gigabyte of RGB); Pillow itself only warns up to twice as many.
PIXEL_LIMIT = 89_478_485

_lock = threading.Lock()
_decoding = 0
_filter: Any = None


@contextmanager
def silent_pillow() -> Iterator[None]:
    """Ignore warnings raised inside Pillow while at least one thread is in this context.

    What Pillow warns of is either harmless here or becomes an error. `warnings.catch_warnings`
    swaps a list that all threads share, so two overlapping uses can lose filters or leave one
    behind; this puts a single filter in with the first thread and takes it out with the last.
    """
    global _decoding, _filter
    with _lock:
        _decoding += 1
        if _filter is None or _filter not in warnings.filters:
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _filter = warnings.filters[0]
    try:
        yield
    finally:
        with _lock:
            _decoding -= 1
            if _decoding == 0 and _filter in warnings.filters:
                warnings.filters.remove(_filter)  # type: ignore[attr-defined]


def open_image(data: bytes) -> ImageFile.ImageFile:
    """Read the header of one image and check it; no pixel is decoded yet.

    Call it, and `load`, within `silent_pillow`.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    DecodeError
        The file is empty, has more than `PIXEL_LIMIT` pixels, or is a JPEG whose end is missing.
    UsageError
        Something in this process told Pillow to accept truncated files.
    OSError, SyntaxError, ValueError, ...
        Whatever else Pillow raises on a broken file.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise UsageError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set: broken files would be read as grey.",
            hint="Set it to False before using featx.",
        )
    if not data:
        raise DecodeError("empty file (0 bytes)")
    image = Image.open(io.BytesIO(data), formats=_formats())
    width, height = image.size
    if width * height > PIXEL_LIMIT:
        raise DecodeError(f"too many pixels: {width} × {height}; the limit is {PIXEL_LIMIT}")
    if data.startswith(b"\xff\xd8") and not _jpeg_ends(data):
        raise DecodeError("truncated: the JPEG has no end marker")
    return image


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read here; HEIF too where its library is installed."""
    if not has_heif():
        return tuple(FORMATS)
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, HEIF)


def _jpeg_ends(data: bytes) -> bool:
    """Whether an end-of-image marker follows the start of the first scan.

    A download that stopped half-way in a file of reserved length ends in zeros, which libjpeg
    decodes to grey without a word. Segments before the scan are stepped over because an embedded
    thumbnail has an end marker of its own; inside a scan 0xFFD9 cannot be data.
    """
    at = 2
    while data[at : at + 1] == b"\xff":
        marker = data[at + 1 : at + 2]
        if marker == b"\xff":  # a fill byte
            at += 1
        elif marker == b"\xda":  # start of scan
            break
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.find(b"\xff\xd9", at) >= 0
