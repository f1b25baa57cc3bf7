"""Bytes of an image file to RGB pixels: the reference that every faster decoder must match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, UnidentifiedImageError

from featx.data.colour import to_rgb
from featx.data.imagetypes import FORMATS, other_kind
from featx.data.pillow import PIXEL_LIMIT, open_image, silent_pillow
from featx.data.preprocess import resized_size
from featx.errors import DecodeError, FeatxError
from featx.types import Preprocess

__all__ = ["DECODE_POLICY", "Decoded", "decode", "decode_image"]

#: Everything that decides a decoded pixel; part of every extractor's fingerprint. Any change of
#: meaning needs a new ``version``. Limits are not in it: they decide whether, not how.
DECODE_POLICY: dict[str, Any] = {
    "version": 1,
    "decoder": "pillow",
    "orientation": "exif applied",
    "frame": "first",
    "alpha": "composited on white",
    "icc": "ignored",
    "uint16": "rounded value/257",
    "int32": "as uint16 within 0..65535, else min-max",
    "float": "0..1 times 255, else 0..255 as is, else min-max; nan to minimum",
}

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Decoded:
    """One decoded image and what its file said of itself.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB, upright.
    format : str
        Pillow's name of the format that the content has, whatever the file is called.
    mode : str
        Pillow's mode before the conversion to RGB, for instance ``"I;16"``.
    """

    image: Image.Image
    format: str
    mode: str


def decode_image(data: bytes, *, scaled_for: Preprocess | None = None) -> Image.Image:
    """Decode one image file to an upright RGB image.

    The first frame or page; EXIF orientation applied; 16-bit, float, CMYK, palette and grey
    scaled and converted; transparency composited on white: see `DECODE_POLICY`. Safe to call
    from many threads.

    Parameters
    ----------
    data : bytes
        The whole file, of any format in `featx.data.imagetypes.FORMATS`.
    scaled_for : Preprocess, optional
        What the image is going to be resized to: a JPEG file may then be decoded at a half, a
        quarter or an eighth of its size, as long as twice the resized size is left. The pixels
        differ a little from those of the whole image resized. Default None, the whole image.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.

    Raises
    ------
    DecodeError
        The file cannot be decoded in full, for whatever reason; the message says which.
    """
    return decode(data, scaled_for=scaled_for).image


def decode(data: bytes, *, scaled_for: Preprocess | None = None) -> Decoded:
    """Decode like `decode_image`, keeping the format and mode that the file had."""
    with silent_pillow():
        try:
            with open_image(data) as image:
                if scaled_for is not None and image.format == "JPEG":
                    _shrink(image, scaled_for)
                image.load()
                mode, format_name = image.mode, image.format or "unknown"
                upright = _TRANSPOSE.get(_orientation(image))
                rgb = to_rgb(image)
        except FeatxError:
            raise
        except Exception as error:  # a broken file may raise anything, not only OSError
            raise DecodeError(_reason(error, data)) from error
        return Decoded(rgb if upright is None else rgb.transpose(upright), format_name, mode)


def _shrink(image: Image.Image, preprocess: Preprocess) -> None:
    """Have the JPEG decoder give fewer pixels: each a mean it computes anyway."""
    height, width = resized_size(image.height, image.width, preprocess)
    if _orientation(image) >= 5:  # the image is on its side
        width, height = resized_size(image.width, image.height, preprocess)
    image.draft(None, (2 * width, 2 * height))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 when there is none or the EXIF block cannot be parsed.

    Damaged metadata leaves the pixels whole, so it does not make the file unreadable.
    """
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _reason(error: Exception, data: bytes) -> str:
    """One line on what is wrong with the file; the same for the same file, always."""
    if isinstance(error, UnidentifiedImageError):
        if (other := other_kind(data)) is not None:
            return other
        return f"not an image, or cut off in its header; formats read: {', '.join(FORMATS)}"
    if isinstance(error, Image.DecompressionBombError):
        return f"too many pixels; the limit is {PIXEL_LIMIT}"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    text = " ".join(str(error).split())[:200]
    if "truncated" in text.lower():
        return f"truncated: {text}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
