"""Colour images of 16 bits a channel, of which Pillow keeps the high bytes only."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile

from featx.errors import DecodeError

_PLANES = 284  # of a TIFF; libtiff's planes come in one order, whatever is asked for
_MODES = {"RGB", "RGBA", "CMYK"}
_NATIVE = "L" if sys.byteorder == "little" else "B"


def is_deep_colour(image: ImageFile.ImageFile) -> bool:
    """Whether an image, opened but not loaded, has colours of 16 bits."""
    return image.mode in _MODES and _rawmode(image)[-4:-1] == ";16"  # and one of L, B and N


def refuse_deep_jpeg2000(data: bytes) -> None:
    """Refuse a JPEG 2000 file with several channels of more than 8 bits.

    Pillow rounds them up to 256, which becomes 0: white turns black.

    Raises
    ------
    DecodeError
        Naming the number of bits.
    """
    at = data.find(b"\xff\x4f\xff\x51")  # start of the codestream, and of its sizes
    channels = int.from_bytes(data[at + 40 : at + 42], "big") if at >= 0 else 0
    bits = max((b & 0x7F for b in data[at + 42 : at + 42 + 3 * channels : 3]), default=0) + 1
    if channels > 1 and bits > 8:
        raise DecodeError(f"JPEG 2000 with {channels} channels of {bits} bits is not read")


def read_deep_colour(image: ImageFile.ImageFile, twin: ImageFile.ImageFile) -> NDArray[np.uint16]:
    """All bits of the colours, by decoding the file twice.

    Parameters
    ----------
    image, twin : PIL.ImageFile.ImageFile
        The same file, opened twice. Pillow keeps the first of two bytes; told that the other order
        holds, it keeps the second.

    Returns
    -------
    ndarray of shape (height, width, 3 or 4), uint16

    Raises
    ------
    DecodeError
        The colours are none that can be told apart so.
    """
    kind, _, order = _rawmode(image).partition(";16")
    order = order.replace("N", _NATIVE)
    tags = getattr(image, "tag_v2", {})
    if kind not in ("RGB", "RGBA", "RGBX") or tags.get(_PLANES) == 2:
        raise DecodeError(
            "16-bit colours in separate planes, of CMYK or beside grey's alpha are read with "
            "--range full only"
        )
    other = f"{kind};16{'L' if order == 'B' else 'B'}"
    twin.tile = [_with_rawmode(tile, other) for tile in twin.tile]
    image.load()
    twin.load()
    high, low = (np.asarray(half, np.uint16) for half in (image, twin))
    return np.asarray(high << 8 | low, np.uint16)


def _rawmode(image: ImageFile.ImageFile) -> str:
    """How the pixels are laid out in the file, in Pillow's words; empty where it does not say."""
    args = image.tile[0].args if image.tile else ()
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _with_rawmode(tile: ImageFile._Tile, rawmode: str) -> ImageFile._Tile:
    args = (rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode
    return tile._replace(args=args)
