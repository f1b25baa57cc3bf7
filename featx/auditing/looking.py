"""What of an image can be measured without a network: its looks in small, its file, its border."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featx.data.decode import decode
from featx.data.hashing import PIXEL_HASH_BYTES, pixel_hash, read_bytes
from featx.data.name_parts import moment_in
from featx.data.pillow import open_image, silent_pillow
from featx.data.pool import map_files
from featx.errors import DecodeError

__all__ = ["SIDE_PX", "Look", "look_at"]

SIDE_PX = 64
_RING = 0.02  # of the shorter side: the border that is measured
_MAKE, _MODEL, _SOFTWARE = 271, 272, 305  # tags of EXIF
_DATE, _EXIF, _TAKEN = 306, 0x8769, 36867


@dataclass(frozen=True, slots=True)
class Look:
    """One image as the audit sees it.

    Parameters
    ----------
    grey : ndarray of shape (SIDE_PX, SIDE_PX), uint8
        The whole image, squashed to a square.
    numbers : dict of str to dict of str to float
        Family (size, colour, border, metadata) -> measurement -> value.
    words : dict of str to dict of str to str
        Family (format, metadata) -> measurement -> value; text from files, never to be trusted.
    pixel_hash : bytes
        Of the decoded image; zeros where it is not known.
    taken : float, optional
        Seconds since 1970 by the clock of the camera (EXIF).
    """

    grey: NDArray[np.uint8]
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    pixel_hash: bytes = bytes(PIXEL_HASH_BYTES)
    taken: float | None = None


def look_at(paths: Sequence[str], *, workers: int | None = None) -> list[Look | None]:
    """Decode files in ``workers`` threads (default: the CPU cores) and measure them.

    Returns
    -------
    list of Look or None
        In the order given; None where a file cannot be decoded (any more).
    """
    return map_files(_look, paths, label="Looking at the files", workers=workers)


def _look(path: str) -> Look | None:
    try:
        data = read_bytes(path)
        numbers, words, taken = _of_file(data)
        decoded = decode(data)
    except DecodeError:
        return None
    image = decoded.image
    width, height = image.size
    small = image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
    size = {
        "width": math.log(width),
        "height": math.log(height),
        "area": math.log(width * height),
        "aspect": math.log(width / height),
    }
    numbers["bytes per pixel"] = math.log(len(data) / (width * height))
    return Look(
        np.asarray(small.convert("L")),
        {
            "size": size,
            "aspect": {"aspect": size["aspect"]},
            "colour": _colours(np.asarray(small, dtype=np.float32)),
            "border": _border(image),
            "metadata": numbers,
        },
        {
            "format": {"format": decoded.format, "mode": decoded.mode},
            "metadata": words,
        },
        pixel_hash(image),
        taken,
    )


def _of_file(data: bytes) -> tuple[dict[str, float], dict[str, str], float | None]:
    """Metadata of the file, and when it was taken; none where they are damaged."""
    taken = None
    numbers = {"JPEG quantisation": -1.0, "resolution": 0.0}
    words: dict[str, str] = {}
    with silent_pillow():
        try:
            with open_image(data) as image:
                tables = getattr(image, "quantization", None)
                if tables:
                    numbers["JPEG quantisation"] = float(np.mean(next(iter(tables.values()))))
                dpi = image.info.get("dpi", (0.0,))
                numbers["resolution"] = float(np.nan_to_num(float(dpi[0]), posinf=0.0))
                tags = image.getexif()
                for name, tag in (("make", _MAKE), ("camera", _MODEL), ("software", _SOFTWARE)):
                    words[name] = str(tags.get(tag, ""))[:80]
                inner = tags.get_ifd(_EXIF)
                taken = moment_in(str(inner.get(_TAKEN, "") or tags.get(_DATE, ""))[:80])
        except DecodeError:
            raise
        except Exception:
            words["EXIF"] = "damaged"
    return numbers, words, taken


def _colours(pixels: NDArray[np.float32]) -> dict[str, float]:
    """Of an image in small, shape (side, side, 3)."""
    grey = pixels.mean(axis=2)
    saturation = pixels.max(axis=2) - pixels.min(axis=2)
    found = {"saturation": saturation.mean(), "brightness": grey.mean(), "contrast": grey.std()}
    found |= {f"{q} % darkest": np.percentile(grey, q) for q in (5, 95)}
    for c, channel in enumerate(("red", "green", "blue")):
        found[f"mean {channel}"] = pixels[..., c].mean()
        found[f"spread of {channel}"] = pixels[..., c].std()
    return {name: float(value) for name, value in found.items()}


def _border(image: Image.Image) -> dict[str, float]:
    """The outermost pixels, and how they differ from those just inside."""
    depth = max(1, round(_RING * min(image.size)))
    outer = _ring(image, 0, depth)
    found = {f"{channel} of the border": outer[:, c].mean() for c, channel in enumerate("RGB")}
    found["spread along the border"] = outer.std(axis=0).mean()
    away = np.abs(outer - np.median(outer, axis=0)).max(axis=1)
    found["share of one colour in the border"] = (away <= 8).mean()
    if min(image.size) > 4 * depth:
        inner = _ring(image, depth, depth)
        found["step from border to inside"] = np.abs(outer.mean(axis=0) - inner.mean(axis=0)).max()
    else:
        found["step from border to inside"] = 0.0
    return {name: float(value) for name, value in found.items()}


def _ring(image: Image.Image, start: int, depth: int) -> NDArray[np.float32]:
    """Pixels of a frame ``depth`` wide whose outside lies ``start`` within, shape (n, 3)."""
    w, h = image.width - start, image.height - start
    boxes = (
        (start, start, w, min(start + depth, h)),
        (start, max(h - depth, start), w, h),
        (start, start, min(start + depth, w), h),
        (max(w - depth, start), start, w, h),
    )
    sides = [np.asarray(image.crop(box), dtype=np.float32).reshape(-1, 3) for box in boxes]
    return np.concatenate(sides)
