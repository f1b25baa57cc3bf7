"""What happens to a training image before the network sees it.

A part of it, featx's views, or RandAugment.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from featx.data.augment import Augmentation, draw_view, named_augmentation
from featx.data.pixels import view_pixels
from featx.data.preprocess import preprocess_image
from featx.types import Preprocess

#: From an image, the network's preprocessing, and 32 bytes that are the only source of chance.
Augment = Callable[[Image.Image, Preprocess, bytes], NDArray[np.uint8]]

AREA = 0.6, 1.0  # of the image, in a crop
RATIO = 4 / 3  # of a crop's sides, either way, at most
_ATTEMPTS = 10  # to draw a crop that lies within the image
COLOURS = Augmentation(mirror=True, brightness=0.2, contrast=0.2, saturation=0.2)

N_OPERATIONS = 2
MAGNITUDE = 9 / 30  # as torchvision's and timm's default, of the largest
FILL = (124, 116, 104)  # mean of ImageNet's images, in what comes into view


def augmenter(strength: str, *, upright: bool) -> Augment:
    """What ``--augment`` names, other than ``none``."""
    if strength == "randaugment":
        return lambda image, preprocess, name: preprocess_image(
            rand_augment(image, name), preprocess
        )
    if strength == "crop":
        return lambda image, preprocess, name: crop(image, preprocess, name, upright=upright)
    augmentation = named_augmentation(strength, upright=upright)
    return lambda image, preprocess, name: view_pixels(
        image, preprocess, draw_view(augmentation, name)
    )


def crop(
    image: Image.Image, preprocess: Preprocess, name: bytes, *, upright: bool
) -> NDArray[np.uint8]:
    """A random part of the image at the network's size, half of them mirrored, colours changed.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB.
    preprocess : Preprocess
        Size and interpolation.
    name : bytes
        The only source of chance.
    upright : bool
        Without it the part is also turned by quarters.

    References
    ----------
    Szegedy et al., "Going deeper with convolutions", CVPR 2015; here of 60 to 100 % of the area,
    since few images are not to be learnt by a corner.
    """
    random = np.random.Generator(np.random.PCG64(int.from_bytes(name, "big") + 2))
    height, width = preprocess.size_px
    box = _box(image.width, image.height, random)
    part = image.resize((width, height), Image.Resampling[preprocess.interpolation.upper()], box)
    square = height == width  # a quarter turn keeps the size
    colours = COLOURS.model_copy(update={"any_way_up": square and not upright})
    return np.asarray(draw_view(colours, name).of_image(part))


def _box(width: int, height: int, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a part; where none is found that fits, of all."""
    for _ in range(_ATTEMPTS):
        area = width * height * random.uniform(*AREA)
        ratio = math.exp(random.uniform(-1, 1) * math.log(RATIO))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, top = random.integers(width - across + 1), random.integers(height - down + 1)
            return int(left), int(top), int(left) + across, int(top) + down
    return 0, 0, width, height


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
