"""Bytes of an image file to RGB pixels: the reference that every faster decoder must match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from featx.data import pillow
from featx.data.budget import pixel_budget
from featx.data.colour import Scale, Values, deep_to_rgb, scaled_to_rgb
from featx.data.damage import find_missing_end
from featx.data.deep import is_deep_colour, read_deep_colour
from featx.data.imagetypes import FORMATS, other_kind
from featx.data.pillow import open_image, silent_pillow
from featx.data.preprocess import resized_size
from featx.data.tiff import check_loaded, heard_from_libtiff, tiff_scale
from featx.errors import DecodeError, FeatxError
from featx.types import FULL_RANGE, Preprocess, parse_range

#: Everything that decides a decoded pixel; part of every extractor's fingerprint. Any change of
#: meaning needs a new ``version``. Limits are not in it: they decide whether, not how.
DECODE_POLICY: dict[str, Any] = {
    "version": 2,
    "decoder": "pillow",
    "orientation": "exif applied",
    "frame": "first",
    "alpha": "composited on white",
    "icc": "ignored",
    "uint16": "rounded value/257; of fewer bits, if the file says so, by their largest value",
    "int32": "as uint16 within 0..65535, else min-max",
    "float": "0..1 times 255, else 0..255 as is, else min-max",
    "nodata": "nan, -inf, beyond 3.39e38 and GDAL_NODATA to minimum",
    "jpeg": "beyond 89478485 pixels decoded at 1/2, 1/4 or 1/8",
}

#: The one before, which read some TIFF files wrongly and passed over cut files; see
#: `Decoded.read_before`.
EARLIER_POLICY: dict[str, Any] = {
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


_RGB = 4  # bytes of a pixel in Pillow
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "LA": 4, "PA": 4}  # others: 4
#: Bytes a pixel that decoders or conversions take beside: measured, rounded up.
_WORK = {"WEBP": 8, "AVIF": 8, "JPEG2000": 16, "TIFF": 8, "GIF": 4}
_COEFFICIENTS = 6  # of a progressive JPEG, where no colour is subsampled


@dataclass(frozen=True)
class Decoded:
    """One decoded image and what its file declares.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB, upright.
    format : str
        Pillow's name of the format that the content has, whatever the file is called.
    mode : str
        Pillow's mode before the conversion to RGB, for instance ``"I;16"``.
    size_px : tuple of int
        Width and height, upright, of the whole image; ``image`` may be a half or less of it.
    values : Values, optional
        Smallest and largest value of an image with more than 8 bits, 16-bit colour included.
    """

    image: Image.Image
    format: str
    mode: str
    size_px: tuple[int, int]
    values: Values | None = None

    @property
    def read_before(self) -> bool:
        """Whether `EARLIER_POLICY` certainly gives the same pixels, where it gives any."""
        return self.values is None


def decode_for(data: bytes, preprocess: Preprocess) -> Image.Image:
    """Decode one image file as a network wants it: `decode_image` as ``preprocess`` says."""
    scaled_for = preprocess if preprocess.decode == "scaled" else None
    return decode(data, scaled_for=scaled_for, range=preprocess.range).image


def decode_image(data: bytes, *, scaled_for: Preprocess | None = None) -> Image.Image:
    """Decode one image file to an upright RGB image.

    The first frame or page; EXIF orientation applied; 16-bit, float, CMYK, palette and grey
    scaled and converted; transparency composited on white: see `DECODE_POLICY`. Safe to call
    from many threads, which wait for one another where their images would fill the memory.

    Parameters
    ----------
    data : bytes
        The whole file, of any format in `featx.data.imagetypes.FORMATS`.
    scaled_for : Preprocess, optional
        What the image is going to be resized to: a JPEG file may then be decoded at a half, a
        quarter or an eighth of its size, as long as twice the resized size is left. The pixels
        differ a little from those of the whole image resized. Default None, the whole image,
        if it has no more pixels than `featx.data.pillow.PIXEL_LIMIT`.

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


def decode(
    data: bytes, *, scaled_for: Preprocess | None = None, range: str = FULL_RANGE
) -> Decoded:
    """Decode like `decode_image`, keeping what the file declares.

    ``range`` is what becomes black and white where there are more than 8 bits; see `Preprocess`.
    """
    with silent_pillow():
        try:
            with open_image(data) as image:
                size = image.size
                if image.format in ("JPEG", "MPO"):
                    _shrink(image, scaled_for)
                with pixel_budget().room(_needed_bytes(image, size)):
                    format_name, mode = image.format or "unknown", image.mode
                    rgb, values = _load(image, data, range)
                    turned = _orientation(image)  # Pillow itself turns a TIFF when it loads it
                    upright = rgb if turned == 1 else rgb.transpose(_TRANSPOSE[turned])
        except FeatxError:
            raise
        except Exception as error:  # a broken file may raise anything, not only OSError
            raise DecodeError(_reason(error, data)) from error
        return Decoded(upright, format_name, mode, size[::-1] if turned >= 5 else size, values)


def _load(image: ImageFile.ImageFile, data: bytes, range: str) -> tuple[Image.Image, Values | None]:
    """Decode the pixels, and bring them to 8 bits of RGB."""
    deep, wanted = is_deep_colour(image), parse_range(range)
    if deep and wanted is not None:
        bands = read_deep_colour(image, open_image(data))
        return deep_to_rgb(bands, Scale(wanted))
    tiff = image if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    scale = tiff_scale(tiff, wanted) if tiff else Scale(wanted)
    with heard_from_libtiff() as messages:
        image.load()
    if messages:
        raise DecodeError(f"damaged: {messages[0]}")
    if tiff:
        check_loaded(tiff)
    if (missing := find_missing_end(data, image)) is not None:
        raise DecodeError(missing)
    rgb, values = scaled_to_rgb(image, scale)
    if deep:  # the high bytes are what is left
        high = 256 * int(np.asarray(image)[..., :3].max()) + 255
        values = Values(0, high, (0, high))
    return rgb, values


def _shrink(image: ImageFile.ImageFile, scaled_for: Preprocess | None) -> None:
    """Have the JPEG decoder give fewer pixels: each a mean it computes anyway."""
    width, height = image.size
    if scaled_for is not None:
        turned = _orientation(image) >= 5  # the image is on its side
        size = resized_size(*(image.size if turned else image.size[::-1]), scaled_for)
        height, width = (2 * edge for edge in (size[::-1] if turned else size))
    if image.width * image.height > pillow.PIXEL_LIMIT:
        sizes = {s: (-(-image.width // s), -(-image.height // s)) for s in (2, 4, 8)}
        least = next((s for s, (w, h) in sizes.items() if w * h <= pillow.PIXEL_LIMIT), 8)
        width, height = min(width, image.width // least), min(height, image.height // least)
    if (width, height) != image.size:
        image.draft(None, (width, height))


def _needed_bytes(image: ImageFile.ImageFile, whole: tuple[int, int]) -> int:
    """Memory that decoding takes at its height, the pixels in RGB included."""
    format_name = image.format or ""
    jpeg = format_name in ("JPEG", "MPO")  # of others, `getexif` may decode the image
    turned = _orientation(image) > 1 if jpeg else "exif" in image.info
    converted = image.mode != "RGB" or image.has_transparency_data
    each = _BYTES.get(image.mode, 4) + converted * _RGB + turned * _RGB + _WORK.get(format_name, 0)
    if "progressive" in image.info:
        return image.width * image.height * each + whole[0] * whole[1] * _COEFFICIENTS
    return image.width * image.height * each


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
        return f"too many pixels; the limit is {pillow.PIXEL_LIMIT}"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    text = " ".join(str(error).split())[:200]
    if "truncated" in text.lower():
        return f"truncated: {text}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
