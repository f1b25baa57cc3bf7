"""What happens to a training image before the network sees it: featx's views, or RandAugment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from featx.data.augment import draw_view, named_augmentation
from featx.data.pixels import view_pixels
from featx.data.preprocess import preprocess_image
from featx.types import Preprocess

__all__ = ["Augment", "augmenter", "rand_augment"]

#: From an image, the network's preprocessing, and 32 bytes that are the only source of chance.
Augment = Callable[[Image.Image, Preprocess, bytes], NDArray[np.uint8]]

N_OPERATIONS = 2
MAGNITUDE = 9 / 30  # as torchvision's and timm's default, of the largest
FILL = (124, 116, 104)  # mean of ImageNet's images, in what comes into view


def augmenter(strength: str, *, upright: bool) -> Augment:
    """What ``--augment`` names, other than ``none``."""
    if strength == "randaugment":
        return lambda image, preprocess, name: preprocess_image(
            rand_augment(image, name), preprocess
        )
    augmentation = named_augmentation(strength, upright=upright)
    return lambda image, preprocess, name: view_pixels(
        image, preprocess, draw_view(augmentation, name)
    )


def rand_augment(image: Image.Image, name: bytes) -> Image.Image:
    """Two operations drawn from fourteen, and half of the images mirrored.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB.
    name : bytes
        The only source of chance.

    References
    ----------
    Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space",
    NeurIPS 2020, https://arxiv.org/abs/1909.13719; ranges as in ``torchvision.transforms.v2``.
    """
    random = np.random.Generator(np.random.PCG64(int.from_bytes(name, "big")))
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for _ in range(N_OPERATIONS):
        operation = _OPERATIONS[int(random.integers(len(_OPERATIONS)))]
        image = operation(image, MAGNITUDE if random.random() < 0.5 else -MAGNITUDE)
    return image


def _affine(image: Image.Image, *data: float) -> Image.Image:
    """Moved by the matrix ``(a, b, c, d, e, f)`` about the centre."""
    a, b, c, d, e, f = data
    x, y = image.width / 2, image.height / 2
    moved = (a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y)
    bilinear = Image.Resampling.BILINEAR
    return image.transform(image.size, Image.Transform.AFFINE, moved, bilinear, fillcolor=FILL)


def _rotate(image: Image.Image, m: float) -> Image.Image:
    return image.rotate(30 * m, Image.Resampling.BILINEAR, fillcolor=FILL)


_FARTHEST = 150 / 331  # of a side, for translations

#: Each takes a signed magnitude in [-1, 1].
_OPERATIONS: tuple[Callable[[Image.Image, float], Image.Image], ...] = (
    lambda image, m: image,
    lambda image, m: _affine(image, 1, 0.3 * m, 0, 0, 1, 0),
    lambda image, m: _affine(image, 1, 0, 0, 0.3 * m, 1, 0),
    lambda image, m: _affine(image, 1, 0, _FARTHEST * m * image.width, 0, 1, 0),
    lambda image, m: _affine(image, 1, 0, 0, 0, 1, _FARTHEST * m * image.height),
    _rotate,
    lambda image, m: ImageEnhance.Brightness(image).enhance(1 + 0.9 * m),
    lambda image, m: ImageEnhance.Color(image).enhance(1 + 0.9 * m),
    lambda image, m: ImageEnhance.Contrast(image).enhance(1 + 0.9 * m),
    lambda image, m: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * m),
    lambda image, m: ImageOps.posterize(image, 8 - round(4 * abs(m))),
    lambda image, m: ImageOps.solarize(image, round(255 * (1 - abs(m)))),
    lambda image, m: ImageOps.autocontrast(image),
    lambda image, m: ImageOps.equalize(image),
)
