"""From a decoded image to the pixels a network sees: the zoos' own evaluation geometry.

Resizing is Pillow's antialiased resampling; the arithmetic of sizes and crops is that of
``torchvision.transforms`` and ``timm.data.transforms_factory.transforms_imagenet_eval``, so the
pixels are the ones each set of weights was evaluated on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from featx.types import Preprocess, UInt8Array

if TYPE_CHECKING:
    from PIL import Image

PREPROCESS_VERSION = 1
"""Raised whenever the same image and `Preprocess` give other pixels than before."""

_MAX_AREA = 64  # of the resized image in crops; beyond it, only what the crop keeps is resized
_CROP_SLACK = 1e-6  # size / (size / edge) must give edge back after rounding down


def preprocess_image(image: Image.Image, preprocess: Preprocess) -> UInt8Array:
    """Resize and centre-crop one image.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB, any size from 1 × 1.
    preprocess : Preprocess
        Size, resize mode, interpolation and crop; mean and std are the engine's business.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Exactly ``preprocess.size_px``.

    Notes
    -----
    Images so long (from 16 : 1 at the very least) that the whole resized image would be 64 times
    the crop are resized inside the crop only: a scan one pixel high cannot ask for gigabytes.
    Pillow may then take rows before columns, and pixels differ by a few levels from the zoos'
    transforms; those of all other images are equal.
    """
    from PIL import Image

    resample = Image.Resampling[preprocess.interpolation.upper()]
    height, width = preprocess.size_px
    resized = resized_size(image.height, image.width, preprocess)
    top, left = round((resized[0] - height) / 2.0), round((resized[1] - width) / 2.0)
    if resized[0] * resized[1] > _MAX_AREA * height * width:
        down, across = image.height / resized[0], image.width / resized[1]
        box = (left * across, top * down, (left + width) * across, (top + height) * down)
        image = image.resize((width, height), resample, box=box)
    else:
        if resized != (image.height, image.width):
            image = image.resize((resized[1], resized[0]), resample)
        if resized != (height, width):
            image = image.crop((left, top, left + width, top + height))
    return np.asarray(image, dtype=np.uint8)


def resized_size(height: int, width: int, preprocess: Preprocess) -> tuple[int, int]:
    """Height and width before the crop; each at least that of the crop."""
    edge, across = (math.floor(s / preprocess.crop + _CROP_SLACK) for s in preprocess.size_px)
    if preprocess.resize == "squash":
        return edge, across
    if edge != across:
        ratio = min(height / edge, width / across)
        return round(height / ratio), round(width / ratio)
    if height <= width:
        return edge, int(edge * width / height)
    return int(edge * height / width), edge
