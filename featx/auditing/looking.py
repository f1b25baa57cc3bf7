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
from featx.types import BoolArray, Float32Array, UInt8Array

SIDE_PX = 64
CORNERS = ("top left", "top right", "bottom left", "bottom right")
CORNER_PX = (32, 16)  # width and height, each standing for two pixels of the image
_RING = 0.02  # of the shorter side: the border that is measured
_FRAME, _MOST_FRAME_PX = 0.1, 40  # of the shorter side, and in pixels: the widest frame
_STEP = 32  # grey levels between a frame and what it surrounds
_PLAIN, _NEARLY_ALL = 32, 0.9  # grey levels from its median that pixels of a plain line lie within
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
        Family (size, colour, border, frame, metadata ...) -> measurement -> value.
    words : dict of str to dict of str to str
        Family (format, dimensions, metadata) -> measurement -> value; text from files, never to be
        trusted.
    pixel_hash : bytes
        Of the decoded image; zeros where it is not known.
    corners : ndarray of shape (4, 16, 32), uint8
        In grey, two pixels of the image in one; of images below 128 × 64 pixels their quarters.
    taken : float, optional
        Seconds since 1970 by the clock of the camera (EXIF).
    """

    grey: UInt8Array
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    pixel_hash: bytes = bytes(PIXEL_HASH_BYTES)
    corners: UInt8Array = field(
        default_factory=lambda: np.zeros((4, CORNER_PX[1], CORNER_PX[0]), np.uint8)
    )
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
    pixels = np.asarray(image)
    small = image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
    size = {
        "width": math.log(width),
        "height": math.log(height),
        "area": math.log(width * height),
        "aspect": math.log(width / height),
    }
    weight = math.log(len(data) / (width * height))
    return Look(
        np.asarray(small.convert("L")),
        {
            "size": size,
            "aspect": {"aspect": size["aspect"]},
            "colour": _colours(np.asarray(small, dtype=np.float32)),
            "border": _border(pixels),
            "frame": _frame(pixels),
            "metadata": numbers,
            "compression": {"bytes per pixel": weight},
        },
        {
            "format": {"format": decoded.format, "mode": decoded.mode},
            "dimensions": {"size": f"{width} × {height}"},
            "metadata": words,
        },
        pixel_hash(image),
        _corners(image),
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


def _colours(pixels: Float32Array) -> dict[str, float]:
    """Of an image in small, shape (side, side, 3)."""
    grey = pixels.mean(axis=2)
    saturation = pixels.max(axis=2) - pixels.min(axis=2)
    found = {"saturation": saturation.mean(), "brightness": grey.mean(), "contrast": grey.std()}
    dark, bright = np.percentile(grey, (5, 95))
    found |= {"5 % darkest": dark, "95 % darkest": bright}
    means, spreads = pixels.mean(axis=(0, 1)), pixels.std(axis=(0, 1))
    for c, channel in enumerate(("red", "green", "blue")):
        found[f"mean {channel}"], found[f"spread of {channel}"] = means[c], spreads[c]
    return {name: float(value) for name, value in found.items()}


def _border(pixels: UInt8Array) -> dict[str, float]:
    """The outermost pixels, and how they differ from those just inside."""
    shorter = min(pixels.shape[:2])
    depth = max(1, round(_RING * shorter))
    outer = _ring(pixels, depth)
    means = outer.mean(axis=0)
    found = {f"{channel} of the border": means[c] for c, channel in enumerate("RGB")}
    found["spread along the border"] = outer.std(axis=0).mean()
    away = np.abs(outer - np.median(outer, axis=0)).max(axis=1)
    found["share of one colour in the border"] = (away <= 8).mean()
    step = 0.0
    if shorter > 4 * depth:
        inner = _ring(pixels[depth:-depth, depth:-depth], depth)
        step = np.abs(means - inner.mean(axis=0)).max()
    found["step from border to inside"] = step
    return {name: float(value) for name, value in found.items()}


def _ring(pixels: UInt8Array, depth: int) -> Float32Array:
    """Pixels of the outermost frame ``depth`` wide, shape (n, 3)."""
    sides = (pixels[:depth], pixels[-depth:], pixels[:, :depth], pixels[:, -depth:])
    return np.concatenate([side.reshape(-1, 3) for side in sides]).astype(np.float32)


def _frame(pixels: UInt8Array) -> dict[str, float]:
    """Straight plain bars along the sides: how sharply they end."""
    shorter = min(pixels.shape[:2])
    depth = min(max(2, round(_FRAME * shorter)), _MOST_FRAME_PX, shorter)
    columns = pixels.swapaxes(0, 1)
    lines = (pixels[:depth], pixels[::-1][:depth], columns[:depth], columns[::-1][:depth])
    above, below, before, behind = (_bar(side.astype(np.int16)) for side in lines)
    return {
        "step at a frame on all sides": min(above, below, before, behind),
        "step at bars above and below": min(above, below),
        "step at bars left and right": min(before, behind),
    }


def _bar(lines: NDArray[np.int16]) -> float:
    """Step at the end of a plain bar, for lines (depth, length, 3) from outside in; 0 for none."""
    if not _are_plain(lines[:1]).all():
        return 0.0
    plain = _are_plain(lines)
    wide = len(lines) if plain.all() else int(plain.argmin())
    # two lines on, as compression blurs the step; and a plain bar may end at a plain ground
    steps = np.abs(lines[2:] - lines[:-2]).max(axis=2)[: wide + 2]
    step = float(np.median(steps, axis=1).max(initial=0.0))
    return step if step >= _STEP else 0.0


def _are_plain(lines: NDArray[np.int16]) -> BoolArray:
    middle = np.sort(lines, axis=1)[:, lines.shape[1] // 2, None]
    near = np.abs(lines - middle).max(axis=2) <= _PLAIN
    return np.asarray(near.mean(axis=1) >= _NEARLY_ALL)


def _corners(image: Image.Image) -> UInt8Array:
    w, h = image.size
    across, down = max(1, min(2 * CORNER_PX[0], w // 2)), max(1, min(2 * CORNER_PX[1], h // 2))
    boxes = [(x, y, x + across, y + down) for y in (0, h - down) for x in (0, w - across)]
    grey = image.convert("L")
    return np.stack(
        [np.asarray(grey.resize(CORNER_PX, Image.Resampling.BOX, box)) for box in boxes]
    )
