"""Opening image bytes with Pillow: allow-listed, size-checked and silent, from any thread."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin, UnidentifiedImageError

from featx.data.damage import find_damage
from featx.data.deep import refuse_deep_jpeg2000
from featx.data.imagetypes import FORMATS, HEIF, has_heif
from featx.data.jpeg import read_jpeg_layout, strict_jpeg
from featx.data.png import strict_png
from featx.data.tiff import is_tiff, mend_tiff, tiff_kind
from featx.errors import DecodeError, UsageError

#: Images with more pixels than this are refused before they are decoded. Pillow's own default
#: (a quarter of a gigabyte of RGB); Pillow itself only warns up to twice as many.
PIXEL_LIMIT = 89_478_485
#: A JPEG may have so many times as many: it is decoded scaled. A progressive one
#: has all its coefficients in memory meanwhile, up to six bytes for a pixel.
_SCALED, _SCALED_PROGRESSIVE = 8, 4

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

    Call it, and `load`, within `silent_pillow`. A JPEG may have more than `PIXEL_LIMIT` pixels, and
    is then to be decoded at a half, a quarter or an eighth of its size.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    DecodeError
        The file is empty, damaged, of a kind that would be misread, or has too many pixels.
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
    damage = find_damage(data)
    if damage is not None:
        raise DecodeError(damage)
    image = _open(data)
    if image.format in ("JPEG", "MPO"):
        _check_jpeg(image, data)
    elif image.width * image.height > PIXEL_LIMIT:
        raise _too_large(image, PIXEL_LIMIT)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        mend_tiff(image)
    if image.format == "PNG":
        strict_png(image)
    if image.format == "JPEG2000":
        refuse_deep_jpeg2000(data)
    return image


def _open(data: bytes) -> ImageFile.ImageFile:
    """Have Pillow read the header; a JPEG's also beyond the size that Pillow takes for a bomb."""
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError:
        if data.startswith(b"\xff\xd8"):
            return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        raise
    except UnidentifiedImageError:
        if is_tiff(data):
            raise DecodeError(f"{tiff_kind(data)} is not read, or is cut off") from None
        raise


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read here; HEIF too where its library is installed."""
    if not has_heif():
        return tuple(FORMATS)
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, HEIF)


def _check_jpeg(image: ImageFile.ImageFile, data: bytes) -> None:
    """Refuse a JPEG without an end or far too large; have the others decoded strictly."""
    layout = read_jpeg_layout(data)
    if layout.end < 0:
        raise DecodeError("truncated: the JPEG has no end marker")
    most = PIXEL_LIMIT * (_SCALED if layout.one_scan else _SCALED_PROGRESSIVE)
    pixels = image.width * image.height
    if pixels > most:
        raise _too_large(image, most)
    strict_jpeg(image, data, layout)


def _too_large(image: ImageFile.ImageFile, limit: int) -> DecodeError:
    return DecodeError(
        f"too many pixels: {image.width} × {image.height}; the limit is {limit}"
        + (" for a JPEG" if limit != PIXEL_LIMIT else "")
    )
