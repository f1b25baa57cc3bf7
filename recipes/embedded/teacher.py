"""What the teacher says about every training image: computed once, cached, never committed.

The teacher is SqueezeNet 1.0 trained on ImageNet-1k (torchvision's layout). Its last feature map
on an image enlarged to 160 px is averaged over a 4x4 grid and standardised, so that the target of
a random crop is the average over the cells that the crop covers.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from augment import normalise
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import squeezenet1_0

SIZE_PX = 160
GRID = 4
WIDTH = 512


def load_teacher(path: Path) -> nn.Module:
    """Return SqueezeNet's convolutions: float ``(n, 3, h, w)`` to maps ``(n, 512, h', w')``."""
    model = squeezenet1_0(weights=None)
    model.load_state_dict(load_file(path))
    return model.features.eval().to(memory_format=torch.channels_last)


@torch.inference_mode()
def _grids(model: nn.Module, images: np.ndarray, device: torch.device) -> Tensor:
    """Return the teacher's maps ``(n, 512, 4, 4)`` float32 of uint8 images ``(n, 3, h, w)``."""
    x = normalise(torch.from_numpy(images).to(device).float() / 255)
    x = F.interpolate(x, size=(SIZE_PX, SIZE_PX), mode="bicubic", align_corners=False)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        maps = model(x.contiguous(memory_format=torch.channels_last))
    return F.adaptive_avg_pool2d(maps.float(), GRID)


def cache_targets(weights: Path, images: np.ndarray, cache: Path, device: torch.device) -> None:
    """Write the standardised grids of ``images`` to ``cache`` as fp16 ``(n, 512, 4, 4)``.

    Standardised by the mean and deviation over the images of the pooled features.
    """
    target, n = cache / "teacher.npy", len(images)
    if target.exists():
        return
    model, started = load_teacher(weights).to(device), time.monotonic()
    temporary = target.with_name("teacher.npy.part")
    shape = (n, WIDTH, GRID, GRID)
    array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
    pooled = np.empty((n, WIDTH), np.float32)
    for i in range(0, n, 100):
        grids = _grids(model, np.array(images[i : i + 100]), device).cpu()
        array[i : i + 100] = grids.numpy().astype(np.float16)
        pooled[i : i + 100] = grids.mean(dim=(2, 3)).numpy()
        if i % 5000 == 0:
            print(f"teacher: {i}/{n} images, {time.monotonic() - started:.0f} s", flush=True)
    mean = pooled.mean(axis=0)[:, None, None]
    deviation = pooled.std(axis=0)[:, None, None] + 1e-3
    for i in range(0, n, 1000):
        array[i : i + 1000] = (array[i : i + 1000] - mean) / deviation
    array.flush()
    temporary.replace(target)


def crop_targets(grids: Tensor, boxes: Tensor) -> Tensor:
    """Return the targets ``(n, 512)`` of crops: grids averaged by each cell's share of the crop.

    ``grids`` ``(n, 512, 4, 4)``; ``boxes`` ``(n, 4)`` as in ``augment.Draw``.
    """
    x0, y0, width, height = boxes.unbind(dim=1)
    down, across = _shares(y0, height), _shares(x0, width)
    return torch.einsum("ncyx,ny,nx->nc", grids.float(), down, across)


def _shares(start: Tensor, length: Tensor) -> Tensor:
    """Return ``(n, 4)``: the part of each interval that lies in each of the grid's cells."""
    edges = torch.arange(GRID + 1, device=start.device) / GRID
    low = torch.maximum(edges[:-1], start[:, None])
    high = torch.minimum(edges[1:], (start + length)[:, None])
    return (high - low).clamp(min=0) / length[:, None]
