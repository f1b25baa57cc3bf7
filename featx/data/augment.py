"""Augmented views: an image mirrored, turned, moved, zoomed, recoloured and made noisy.

What a view shows is decided by the image's content, the augmentation and the number of the view
alone: the same on every machine, in any order, by any worker. Beyond the border an image goes on as
its own reflection, so that no black corner tells that it was turned.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from featx.types import UInt8Array, canonical_json

if TYPE_CHECKING:
    from PIL import Image

_DRAWS = 16  # numbers drawn for every view, used or not
_SHARP_PX = 192  # smaller images are interpolated bicubically, at three times the cost
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in Pillow's grey
_YIQ = np.array([_LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


class Augmentation(BaseModel):
    """How much an image may be changed; the default changes nothing.

    Parameters
    ----------
    version : int
        Of the code: raised whenever equal augmentations give other views than before.
    mirror : bool, default False
        Left and right exchanged in half of the views.
    any_way_up : bool, default False
        Turned by 0, 1, 2 or 3 quarters: for images that have no up.
    rotate_deg : float, default 0
        Turned by up to so many degrees either way, 0 to 180.
    shift : float, default 0
        Moved by up to this share of the short side, along each axis either way; 0 to 1.
    zoom : float, default 1
        Enlarged by up to this factor, or shrunk by it; the logarithm is uniform. 1 to 4.
    brightness, contrast, saturation : float, default 0
        Multiplied by a factor of ``1 - x`` to ``1 + x``; 0 to 1. Contrast is about the mean grey,
        saturation about each pixel's own grey.
    hue : float, default 0
        Colours turned by up to this share of the circle either way, 0 to 0.5.
    noise : float, default 0
        Normal noise in each colour of each pixel of the network's input, with a standard deviation
        of up to this share of the range; 0 to 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Literal[1] = 1
    mirror: bool = False
    any_way_up: bool = False
    rotate_deg: float = Field(0.0, ge=0, le=180)
    shift: float = Field(0.0, ge=0, le=1)
    zoom: float = Field(1.0, ge=1, le=4)
    brightness: float = Field(0.0, ge=0, le=1)
    contrast: float = Field(0.0, ge=0, le=1)
    saturation: float = Field(0.0, ge=0, le=1)
    hue: float = Field(0.0, ge=0, le=0.5)
    noise: float = Field(0.0, ge=0, le=1)


#: What ``--augment`` names.
STRENGTHS = {
    "light": Augmentation(
        mirror=True,
        rotate_deg=5.0,
        shift=0.03,
        zoom=1.1,
        brightness=0.1,
        contrast=0.1,
        saturation=0.1,
    ),
    "medium": Augmentation(
        mirror=True,
        rotate_deg=15.0,
        shift=0.08,
        zoom=1.25,
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
        hue=0.02,
        noise=0.01,
    ),
    "strong": Augmentation(
        mirror=True,
        rotate_deg=30.0,
        shift=0.15,
        zoom=1.5,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.05,
        noise=0.03,
    ),
}


def named_augmentation(strength: str, *, upright: bool) -> Augmentation:
    """The augmentation of a name in `STRENGTHS`; any way up where images have no up."""
    return STRENGTHS[strength].model_copy(update={"any_way_up": not upright})


def view_name(sha256: bytes, augmentation: Augmentation, number: int) -> bytes:
    """Name of one view, as unique as the image's own.

    Parameters
    ----------
    sha256 : bytes
        Of the image file's content.
    augmentation : Augmentation
    number : int
        From 1.

    Returns
    -------
    bytes
        32 of them: SHA-256 of the canonical JSON of all three.
    """
    document = {"image": sha256.hex(), "augmentation": augmentation.model_dump(), "view": number}
    return hashlib.sha256(canonical_json(document)).digest()


@dataclass(frozen=True)
class View:
    """What happens to one image; the default is nothing.

    Parameters
    ----------
    mirrored : bool
    quarters : int
        Quarter turns to the left, 0 to 3.
    rotated_deg : float
        Further turned to the left.
    shifted : tuple of float
        Moved right and down, as shares of the short side.
    zoomed : float
        Factor of size.
    brightness, contrast, saturation : float
        Factors.
    hue : float
        Share of the circle.
    noise : float
        Standard deviation as a share of the range.
    seed : int
        Of the noise.
    """

    mirrored: bool = False
    quarters: int = 0
    rotated_deg: float = 0.0
    shifted: tuple[float, float] = (0.0, 0.0)
    zoomed: float = 1.0
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    noise: float = 0.0
    seed: int = 0

    def of_image(self, image: Image.Image) -> Image.Image:
        """The view of an image, but for the noise.

        Parameters
        ----------
        image : PIL.Image.Image
            Mode RGB, any size from 1 × 1.

        Returns
        -------
        PIL.Image.Image
            Mode RGB, of the same size, or with an odd number of quarter turns of the turned size.
        """
        return self._recolour(self._move(self._turn(image)))

    def of_pixels(self, pixels: UInt8Array) -> UInt8Array:
        """Pixels of a network's input, shape (height, width, 3), with the view's noise."""
        if self.noise == 0:
            return pixels
        normal = np.random.Generator(np.random.PCG64(self.seed)).standard_normal(
            pixels.shape, np.float32
        )
        noisy = pixels + np.float32(255 * self.noise) * normal
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    def _turn(self, image: Image.Image) -> Image.Image:
        """What moves whole pixels."""
        from PIL import Image

        if self.mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
        return image.transpose(turns[self.quarters - 1]) if self.quarters else image

    def _move(self, image: Image.Image) -> Image.Image:
        """Rotation, zoom and translation: one interpolation in the reflected image."""
        from PIL import Image

        if self.rotated_deg == 0 and self.shifted == (0, 0) and self.zoomed == 1:
            return image
        angle = math.radians(self.rotated_deg)
        cos, sin = math.cos(angle) / self.zoomed, math.sin(angle) / self.zoomed
        back = np.array([[cos, -sin], [sin, cos]])  # from the view to the image; y points down
        size = np.array(image.size)
        origin = size / 2 - back @ (size / 2 + min(image.size) * np.array(self.shifted))
        # Where the corners of the view lie in the image tells how wide a reflected border it needs.
        corners = np.array([[0, 0], [size[0], 0], [0, size[1]], size]) @ back.T + origin
        # One pixel more than is needed: rounding must not leave the image.
        before = np.maximum(np.ceil(-corners.min(axis=0)), 0).astype(int) + 1
        after = np.maximum(np.ceil(corners.max(axis=0) - size), 0).astype(int) + 1
        (left, top), (right, bottom) = before.tolist(), after.tolist()
        wide = np.pad(np.asarray(image), ((top, bottom), (left, right), (0, 0)), "symmetric")
        data = np.column_stack([back, origin + before]).ravel().tolist()
        sharp = min(image.size) < _SHARP_PX
        filter_ = Image.Resampling.BICUBIC if sharp else Image.Resampling.BILINEAR
        return Image.fromarray(wide).transform(image.size, Image.Transform.AFFINE, data, filter_)

    def _recolour(self, image: Image.Image) -> Image.Image:
        """Brightness, contrast, saturation and hue: one linear map of colours."""
        from PIL import ImageStat

        if (self.brightness, self.contrast, self.saturation, self.hue) == (1, 1, 1, 0):
            return image
        angle = 2 * math.pi * self.hue
        cos, sin = math.cos(angle), math.sin(angle)
        turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        hue = np.linalg.solve(_YIQ, turn @ _YIQ)
        grey = np.outer(np.ones(3), _LUMA)
        saturation = self.saturation * np.eye(3) + (1 - self.saturation) * grey
        colours = self.brightness * self.contrast * saturation @ hue
        mean = self.brightness * ImageStat.Stat(image.convert("L")).mean[0]
        offset = np.full(3, (1 - self.contrast) * mean)
        return image.convert("RGB", tuple(np.column_stack([colours, offset]).ravel().tolist()))


def draw_view(augmentation: Augmentation, name: bytes) -> View:
    """Draw one view.

    Parameters
    ----------
    augmentation : Augmentation
    name : bytes
        The only source of chance; see `view_name`.

    Returns
    -------
    View
    """
    seed = int.from_bytes(name, "big")
    u = np.random.Generator(np.random.PCG64(seed)).random(_DRAWS).tolist()
    either_way = [2 * value - 1 for value in u]
    return View(
        mirrored=augmentation.mirror and u[0] < 0.5,
        quarters=int(4 * u[1]) if augmentation.any_way_up else 0,
        rotated_deg=augmentation.rotate_deg * either_way[2],
        shifted=(augmentation.shift * either_way[3], augmentation.shift * either_way[4]),
        zoomed=augmentation.zoom ** either_way[5],
        brightness=1 + augmentation.brightness * either_way[6],
        contrast=1 + augmentation.contrast * either_way[7],
        saturation=1 + augmentation.saturation * either_way[8],
        hue=augmentation.hue * either_way[9],
        noise=augmentation.noise * u[10],
        seed=seed + 1,
    )
