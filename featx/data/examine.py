"""Every image read, hashed and decoded once, in threads: what inspection is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from featx.data.colour import Values
from featx.data.decode import decode
from featx.data.hashing import content_hash, pixel_hash, read_bytes
from featx.data.pool import map_files
from featx.errors import DecodeError

PLAIN_LEVELS = 2  # of 255


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What one file is.

    Parameters
    ----------
    reason : str, optional
        Why it cannot be read or decoded; then only ``sha256`` and ``size_bytes`` may be known.
    sha256 : str, optional
        Of the content, in hexadecimal.
    size_bytes : int, optional
    width_px, height_px : int, optional
        Upright, after EXIF orientation.
    format, mode : str, optional
        Pillow's names, by content.
    values : Values, optional
        Smallest and largest value of an image with more than 8 bits.
    pixel_hash : bytes, optional
        Of the decoded image.
    plain : bool
        All pixels are of one colour, or within `PLAIN_LEVELS` of it.
    """

    reason: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    width_px: int | None = None
    height_px: int | None = None
    format: str | None = None
    mode: str | None = None
    values: Values | None = None
    pixel_hash: bytes | None = None
    plain: bool = False


def examine_images(paths: Sequence[str], *, workers: int | None = None) -> list[ImageFacts]:
    """Examine files in ``workers`` threads (default: the CPU cores), in the order given."""
    return map_files(_examine, paths, label="Inspecting", workers=workers)


def _examine(path: str) -> ImageFacts:
    """Examine one file; a broken one is a fact like any other."""
    try:
        data = read_bytes(path)
    except DecodeError as error:
        return ImageFacts(reason=error.message)
    sha256, size_bytes = content_hash(data).hex(), len(data)
    try:
        decoded = decode(data)
    except DecodeError as error:
        return ImageFacts(reason=error.message, sha256=sha256, size_bytes=size_bytes)
    extrema: Any = decoded.image.getextrema()
    return ImageFacts(
        None,
        sha256,
        size_bytes,
        *decoded.size_px,
        decoded.format,
        decoded.mode,
        decoded.values,
        pixel_hash(decoded.image),
        all(high - low <= PLAIN_LEVELS for low, high in extrema),
    )
