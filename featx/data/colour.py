"""Any Pillow mode to 8-bit RGB, without the clipping of a plain ``convert("RGB")``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featx.errors import DecodeError
from featx.types import BoolArray, FloatArray, UInt8Array

_UINT16_MAX = 65535
_NO_MEASUREMENT = 3.39e38  # the last floats of 32 bits, which stand for a value that is missing
_SAMPLE = 1 << 16  # values at least, where there are as many, whose percentiles are taken
_STRIP = 1 << 20  # pixels converted at once: what is computed of them takes tens of bytes each


@dataclass(frozen=True)
class Scale:
    """How values of more than 8 bits become 8.

    Parameters
    ----------
    range : tuple of float, optional
        What becomes black and what white, asked for; None leaves it to the policy.
    top : int, optional
        The largest value that an integer can have, where the file says it: 4095 of 12 bits.
    nodata : float, optional
        A value that stands for none.
    zero_is_white : bool, default False
    """

    range: tuple[float, float] | None = None
    top: int = _UINT16_MAX
    nodata: float | None = None
    zero_is_white: bool = False


@dataclass(frozen=True)
class Values:
    """The values of an image with more than 8 bits.

    Parameters
    ----------
    low, high : float
        The smallest and the largest.
    inner : tuple of float
        The 0.1st and the 99.9th percentile.
    floats : bool, default False
    """

    low: float
    high: float
    inner: tuple[float, float]
    floats: bool = False


def scaled_to_rgb(image: Image.Image, scale: Scale) -> tuple[Image.Image, Values | None]:
    """Convert a loaded image to mode RGB as `featx.data.decode.DECODE_POLICY` states.

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode.
    scale : Scale
        Of values with more than 8 bits.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, same size.
    Values or None
        Of an image with more than 8 bits.

    Raises
    ------
    DecodeError
        An image without one value.
    """
    if image.mode.startswith("I") or image.mode == "F":  # I, I;16, I;16B, ...
        grey, values = _to_8bit(np.asarray(image), scale)
        return _grey_to_rgb(grey, image), values
    if image.mode == "La":  # Pillow converts premultiplied grey to nothing but LA
        image = image.convert("LA")
    if image.has_transparency_data:
        return _on_white(image), None
    if image.mode == "RGB":
        return image, None
    return image.convert("RGB"), None


def deep_to_rgb(bands: NDArray[np.uint16], scale: Scale) -> tuple[Image.Image, Values]:
    """Convert 16-bit colours, shape (height, width, 3 or 4); the fourth band is alpha."""
    bits, values = _to_8bit(bands[..., :3], replace(scale, zero_is_white=False))
    if bands.shape[2] == 3:
        return Image.fromarray(bits), values
    alpha = (bands[..., 3:] >> 8).astype(np.uint8)
    return _on_white(Image.fromarray(np.concatenate([bits, alpha], axis=2))), values


def _on_white(image: Image.Image) -> Image.Image:
    """Composite an image on white, some rows at a time: each step makes a copy of them."""
    rgb = Image.new("RGB", image.size)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        part = image.crop((0, top, image.width, min(image.height, top + rows))).convert("RGBA")
        white = Image.new("RGBA", part.size, "white")
        rgb.paste(Image.alpha_composite(white, part).convert("RGB"), (0, top))
    return rgb


def _grey_to_rgb(grey: UInt8Array, source: Image.Image) -> Image.Image:
    """Make RGB of (H, W) uint8; the value a PNG names transparent becomes white."""
    transparent = source.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(np.asarray(source) == transparent, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")


def _to_8bit(values: NDArray[np.generic], scale: Scale) -> tuple[UInt8Array, Values]:
    """Scale integers of more than 8 bits, or floats, to 0..255, some rows at a time.

    What stands for no value counts as the smallest; infinity as the largest.
    """
    rows = max(1, _STRIP // max(1, values[0].size))
    parts = [slice(top, top + rows) for top in range(0, len(values), rows)]
    found = [_valid(values[part], scale.nodata) for part in parts]
    found = [valid for valid in found if valid.size]
    if not found:
        raise DecodeError("no finite pixel values")
    low, high = min(v.min() for v in found), max(v.max() for v in found)
    floats = bool(np.issubdtype(values.dtype, np.floating))
    step = max(1, sum(v.size for v in found) // _SAMPLE)
    inner = np.percentile(np.concatenate([v[::step] for v in found]), (0.1, 99.9))
    of = Values(float(low), float(high), (float(inner[0]), float(inner[1])), floats)
    black, white = scale.range or _policy_range(of, scale.top)
    out = np.empty(values.shape, np.uint8)
    for part in parts:
        out[part] = _map_linearly(_filled(values[part], scale.nodata, of), black, white)
    return 255 - out if scale.zero_is_white else out, of


def _policy_range(values: Values, top: int) -> tuple[float, float]:
    """What becomes black and white where nobody asked for a range.

    Integers within 0..65535 are taken as of 16 bits, or of fewer if the file says so, and floats
    within 0..1 or 0..255 as fractions or 8-bit values: fixed scales, so that brightness stays
    comparable between images. Others have no known range: smallest to largest.
    """
    low, high = values.low, values.high
    if not values.floats:
        return (0, top) if low >= 0 and high <= top else (low, high)
    if low >= 0 and high <= 255:
        return (0, 1) if high <= 1 else (0, 255)
    return low, high


def _valid(values: NDArray[np.generic], nodata: float | None) -> NDArray[np.generic]:
    there = _is_there(values, nodata)
    return values.ravel() if there is None else values[there]


def _is_there(values: NDArray[np.generic], nodata: float | None) -> BoolArray | None:
    """Which values are measured ones; None if all are."""
    there: BoolArray | None = None
    if np.issubdtype(values.dtype, np.floating):
        there = np.isfinite(values) & (np.abs(values) < _NO_MEASUREMENT)
    if nodata is not None:
        other = values != values.dtype.type(nodata) if _fits(nodata, values.dtype) else None
        there = other if there is None else there if other is None else there & other
    return there


def _fits(value: float, dtype: np.dtype[np.generic]) -> bool:
    if np.issubdtype(dtype, np.floating):
        return True
    return value.is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max  # type: ignore[type-var]


def _filled(values: NDArray[np.generic], nodata: float | None, of: Values) -> FloatArray:
    """The values as floats, the smallest where there is none."""
    there = _is_there(values, nodata)
    filled = values.astype(np.float64)
    if there is not None:
        infinite = np.isposinf(filled)
        filled[~there] = of.low
        filled[infinite] = of.high
    return filled


def _map_linearly(values: FloatArray, black: float, white: float) -> UInt8Array:
    """Map black..white to 0..255 and clip; with nothing between them everything becomes black."""
    span = max(white - black, np.finfo(np.float64).tiny)
    return np.rint(np.clip((values - black) / span, 0, 1) * 255).astype(np.uint8)
