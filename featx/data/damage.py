"""Damage that decoders pass over, and that shows in the file as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from featx.data.imagetypes import other_kind
from featx.data.png import PNG, png_damage

_ZEROS = 64  # so many zero bytes are in no compressed data of an image that is not flat
#: Pixels of a flat end that a zero byte stands for at least: measured with libwebp's methods.
_FLAT_PIXELS = {b"VP8 ": 32, b"VP8L": 2}


def find_damage(data: bytes) -> str | None:
    """What is wrong with a file as a whole that its decoder would not say; None if nothing is.

    Parameters
    ----------
    data : bytes
        The whole file, of any format.
    """
    if data.startswith(PNG):
        return png_damage(data)
    if data[4:8] == b"ftyp" and other_kind(data) is None:
        return _unfinished(data)
    return None  # or a kind that is not read, which is reason enough


def find_missing_end(data: bytes, image: Image.Image) -> str | None:
    """What is wrong with the end of a file of which only the pixels tell; None if nothing is.

    A WebP ends in zeros when it is an unfinished download, and when its last rows are flat.

    Parameters
    ----------
    data : bytes
        The whole file.
    image : PIL.Image.Image
        Its pixels.
    """
    if not (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return None
    pictures = [part for part in _riff_chunks(data) if part[0] in _FLAT_PIXELS]
    if not pictures or (damage := _unfinished(pictures[-1][1])) is None:
        return None
    kind, body = pictures[-1]
    zeros = len(body) - len(body.rstrip(b"\0"))
    return None if _ends_flat(image, zeros * _FLAT_PIXELS[kind]) else damage


def _ends_flat(image: Image.Image, n_pixels: int) -> bool:
    """Whether about so many of the last pixels are alike, in rows of 16 pixels' height."""
    width = min(image.width, max(n_pixels // 16, 16))
    height = min(image.height, max(n_pixels // width, 1))
    corner = (image.width - width, image.height - height, image.width, image.height)
    end = np.asarray(image.crop(corner))
    return bool((np.ptp(end.reshape(-1, end.shape[-1]), axis=0) <= 2).all())


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the chunks of a WebP file; those of its frames are not looked into."""
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _unfinished(data: bytes) -> str | None:
    if len(data) > _ZEROS and not any(data[-_ZEROS:]):
        zeros = len(data) - len(data.rstrip(b"\0"))
        return f"truncated: the last {zeros} bytes are zeros, as of an unfinished download"
    return None
