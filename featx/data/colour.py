"""Any Pillow mode to 8-bit RGB, without the clipping of a plain ``convert("RGB")``."""

from __future__ import annotations

import numpy as np
from PIL import Image

from featx.errors import DecodeError

__all__ = ["to_rgb"]

_UINT16_MAX = 65535


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a loaded image to mode RGB as `featx.data.decode.DECODE_POLICY` states.

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, same size.

    Raises
    ------
    DecodeError
        A float image without one finite value.
    """
    if image.mode.startswith("I"):  # I, I;16, I;16B, ...
        return _grey_to_rgb(_integers_to_8bit(np.asarray(image)), image)
    if image.mode == "F":
        return _grey_to_rgb(_floats_to_8bit(np.asarray(image)), image)
    if image.mode == "La":  # Pillow converts premultiplied grey to nothing but LA
        image = image.convert("LA")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Composite an RGBA image on white."""
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _grey_to_rgb(grey: np.ndarray, source: Image.Image) -> Image.Image:
    """Make RGB of (H, W) uint8; the value a PNG names transparent becomes white."""
    transparent = source.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(np.asarray(source) == transparent, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")


def _integers_to_8bit(values: np.ndarray) -> np.ndarray:
    """Scale 16- or 32-bit integers to 0..255.

    Values within 0..65535 are taken as 16-bit and divided by 257, rounded: a fixed scale, so
    that brightness stays comparable between images. Others have no known range: min-max.
    """
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high <= _UINT16_MAX:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return _stretch(values, low, high)


def _floats_to_8bit(values: np.ndarray) -> np.ndarray:
    """Scale floats to 0..255: 0..1 times 255, 0..255 as they are, anything else min-max.

    NaN and minus infinity count as the smallest finite value, infinity as the largest.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        raise DecodeError("no finite pixel values")
    low, high = float(finite.min()), float(finite.max())
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if low >= 0 and high <= 255:
        return np.rint(values * 255 if high <= 1 else values).astype(np.uint8)
    return _stretch(values, low, high)


def _stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map low..high to 0..255; a constant image becomes black."""
    span = max(high - low, np.finfo(np.float64).tiny)
    return np.rint((values.astype(np.float64) - low) / span * 255).astype(np.uint8)
