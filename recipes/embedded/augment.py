"""Random resized crop, flip and colour for whole batches at once, and nothing per image.

A crop with antialiased bilinear resizing is linear and separable, so a batch is resampled by
two batched matrix products: thousands of images a second on one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from network import MEAN, STD
from torch import Tensor

AREA = (0.35, 1.0)
ASPECT = (3 / 4, 4 / 3)
COLOUR = 0.3


@dataclass(frozen=True)
class Draw:
    """The random numbers of one batch; ``boxes`` ``(n, 4)`` is x0, y0, width, height in 0..1."""

    boxes: Tensor
    flips: Tensor
    colours: Tensor

    def rows(self, start: int, stop: int) -> Draw:
        """Return the draw of images ``start`` to ``stop``: one process's part of the batch."""
        return Draw(self.boxes[start:stop], self.flips[start:stop], self.colours[start:stop])


def draw(n: int, generator: torch.Generator) -> Draw:
    """Draw crops, flips ``(n,)`` bool and colour factors ``(n, 3)`` for ``n`` square images."""
    u = torch.rand((n, 8), generator=generator)
    area = AREA[0] + (AREA[1] - AREA[0]) * u[:, 0]
    low, high = torch.tensor(ASPECT).log()
    aspect = (low + (high - low) * u[:, 1]).exp()
    width = (area * aspect).sqrt().clamp(max=1.0)
    height = (area / aspect).sqrt().clamp(max=1.0)
    boxes = torch.stack([u[:, 2] * (1 - width), u[:, 3] * (1 - height), width, height], dim=1)
    colours = 1 + COLOUR * (2 * u[:, 5:8] - 1)
    return Draw(boxes, u[:, 4] < 0.5, colours)


def resize_weights(start: Tensor, length: Tensor, source_px: int, target_px: int) -> Tensor:
    """Return ``(n, target_px, source_px)`` weights of an antialiased bilinear crop of one axis.

    ``start`` and ``length`` are the crops ``(n,)`` as fractions of the axis. The same triangle
    filter as Pillow's: its support grows with the reduction, and each row sums to one.
    """
    scale = length * source_px / target_px
    support = scale.clamp(min=1.0)
    targets = torch.arange(target_px, device=start.device) + 0.5
    centres = start[:, None] * source_px + targets * scale[:, None]
    sources = torch.arange(source_px, device=start.device) + 0.5
    distance = (sources - centres[:, :, None]).abs() / support[:, None, None]
    weights = (1 - distance).clamp(min=0)
    return weights / weights.sum(dim=2, keepdim=True)


def crop_resize(images: Tensor, boxes: Tensor, flips: Tensor, size_px: int) -> Tensor:
    """Crop, flip and resize float images ``(n, 3, h, w)`` to ``(n, 3, size_px, size_px)``."""
    x0, y0, width, height = boxes.unbind(dim=1)
    across = resize_weights(x0, width, images.shape[3], size_px)
    across = torch.where(flips[:, None, None], across.flip(1), across)
    down = resize_weights(y0, height, images.shape[2], size_px)
    return down[:, None] @ (images @ across.transpose(1, 2)[:, None])


def colour(images: Tensor, factors: Tensor) -> Tensor:
    """Scale brightness, contrast and saturation of ``(n, 3, h, w)`` in 0..1 by ``(n, 3)``."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(dim=1)
    images = (images * brightness).clamp(0, 1)
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    images = middle + (images - middle) * contrast
    grey = images.mean(dim=1, keepdim=True)
    return (grey + (images - grey) * saturation).clamp(0, 1)


def normalise(images: Tensor) -> Tensor:
    """Turn images in 0..1 ``(n, 3, h, w)`` into the network's input."""
    mean = torch.tensor(MEAN, device=images.device)[:, None, None]
    std = torch.tensor(STD, device=images.device)[:, None, None]
    return (images - mean) / std


def augment(images: Tensor, drawn: Draw, size_px: int) -> Tensor:
    """Turn uint8 images ``(n, 3, h, w)`` into augmented network input of ``size_px``."""
    device = images.device
    boxes, flips = drawn.boxes.to(device), drawn.flips.to(device)
    cropped = crop_resize(images.float() / 255, boxes, flips, size_px)
    return normalise(colour(cropped, drawn.colours.to(device)))
