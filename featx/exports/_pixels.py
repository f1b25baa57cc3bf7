"""Pillow's antialiased resampling and featx's centre crop as operations of a network.

Resampling is linear: rows and columns of the result are weighted means of those of the image, so
it is two products of matrices whose weights follow from the image's size. What Pillow rounds
(weights to 22 bits, pixels to whole numbers after each of the two) is rounded here.

References
----------
Pillow, ``src/libImaging/Resample.c``: filters, support, order and rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import PIL
import torch
from torch import Tensor, nn

from featx.types import Preprocess

WEIGHT_BITS = 22  # of Pillow's whole-numbered weights
#: Pillow 13 and later resample rows first where the height shrinks by more than twice the pixels
#: that the width does. Both orders are computed then: a network has no branch to choose by.
ROWS_FIRST = int(PIL.__version__.split(".")[0]) >= 13
_CROP_SLACK = 1e-6  # as in featx.data.preprocess


def _bicubic(x: Tensor) -> Tensor:
    a, x = -0.5, x.abs()
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _sinc(x: Tensor) -> Tensor:
    turned = torch.where(x == 0, torch.ones_like(x), x) * math.pi
    return torch.where(x == 0, torch.ones_like(x), torch.sin(turned) / turned)


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 3, _sinc(x) * _sinc(x / 3), torch.zeros_like(x))


def _hamming(x: Tensor) -> Tensor:
    window = 0.54 + 0.46 * torch.cos(math.pi * x)
    return torch.where(x.abs() < 1, _sinc(x) * window, torch.zeros_like(x))


#: Weight of a pixel at each distance from the place that is computed.
FILTERS: dict[str, Callable[[Tensor], Tensor]] = {
    "box": lambda x: ((x > -0.5) & (x <= 0.5)).to(x.dtype),
    "bilinear": lambda x: torch.clamp(1 - x.abs(), min=0),
    "hamming": _hamming,
    "bicubic": _bicubic,
    "lanczos": _lanczos,
}


def _whole(x: Tensor) -> Tensor:
    """What a byte holds, rounded as Pillow rounds."""
    return torch.clamp(torch.floor(x + 0.5), 0, 255)


class Preprocessing(nn.Module):
    """uint8 images of any size to the pixels that featx would give the backbone.

    Takes uint8 (n, height, width, 3) and gives float32 (n, 3, *size_px), whole numbers in
    [0, 255]. All images of a batch have one size.
    """

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        self.size_px = preprocess.size_px
        self.squash = preprocess.resize == "squash"
        self.filter = preprocess.interpolation
        edges = (math.floor(s / preprocess.crop + _CROP_SLACK) for s in preprocess.size_px)
        self.edge_height, self.edge_width = edges

    def forward(self, images: Tensor) -> Tensor:
        """Resize and crop; columns before rows, but in tall images as Pillow does."""
        # Sizes are counted in the network: what traces it would else take them for constants.
        rows = torch.ones_like(images[0, :, 0, 0], dtype=torch.float64)
        columns = torch.ones_like(images[0, 0, :, 0], dtype=torch.float64)
        height, width = rows.sum(), columns.sum()
        down, across = self._resized(height, width)
        x = images.permute(0, 3, 1, 2).to(torch.float32)
        horizontal = self._weights(columns.cumsum(0), width, across, self.size_px[1]).T
        vertical = self._weights(rows.cumsum(0), height, down, self.size_px[0])
        made = _whole(vertical @ _whole(x @ horizontal))
        if not ROWS_FIRST:
            return made
        tall = height - down > 2 * torch.clamp(width - across, min=0)
        return torch.where(tall, _whole(_whole(vertical @ x) @ horizontal), made)

    def _resized(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Size before the crop; see `featx.data.preprocess.resized_size`."""
        edge, across = self.edge_height, self.edge_width
        full, wide = torch.full_like(height, edge), torch.full_like(width, across)
        if self.squash:
            return full, wide
        flat = height * across <= width * edge  # the height decides
        if edge == across:
            other_width = torch.floor(width * edge / height)
            other_height = torch.floor(height * edge / width)
        else:
            other_width = torch.round(width * edge / height)
            other_height = torch.round(height * across / width)
        return torch.where(flat, full, other_height), torch.where(flat, other_width, wide)

    def _weights(self, counted: Tensor, n: Tensor, resized: Tensor, size: int) -> Tensor:
        """The (size, n) matrix of one side: resampling to ``resized``, of which a part is cut."""
        first = torch.round((resized - size) / 2)
        scale = n / resized
        places = torch.arange(size, dtype=torch.float64, device=n.device) + (first + 0.5)
        centres = (places * scale).unsqueeze(1)
        middles = (counted - 0.5).unsqueeze(0)  # of the image's pixels
        if self.filter == "nearest":
            return (torch.floor(centres) == torch.floor(middles)).to(torch.float32)
        wide = torch.clamp(scale, min=1.0)
        weights = FILTERS[self.filter]((middles - centres) / wide)
        weights = weights / weights.sum(dim=1, keepdim=True)
        steps = float(1 << WEIGHT_BITS)
        return (torch.round(weights * steps) / steps).to(torch.float32)
