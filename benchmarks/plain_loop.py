"""A fine-tuning loop in plain torch, which knows nothing of featx's: what featx is measured by."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance
from torch import nn


@dataclass(frozen=True)
class Plain:
    """A recipe: all layers, AdamW, one cycle, random crops, the last epoch kept."""

    epochs: int = 12
    rate: float = 5e-4
    head_rate: float = 5e-3
    warmup: float = 0.2
    smoothing: float = 0.05
    crop: float = 0.6
    colour: float = 0.2
    weight_decay: float = 0.01
    batch: int = 32
    precision: str = "fp32"


class Pictures:
    """Decoded images in memory, as the network sees them, or a random part of each."""

    def __init__(self, paths: Iterable[Path], preprocess: Any) -> None:
        self.preprocess = preprocess
        self.images = [Image.open(path).convert("RGB") for path in paths]  # decodes
        shape = 1, 3, 1, 1
        self.mean = torch.tensor(preprocess.mean).view(shape)
        self.std = torch.tensor(preprocess.std).view(shape)

    def _tensor(self, pixels: Sequence[Any]) -> torch.Tensor:
        x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
        return ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def plain(self, rows: Sequence[int]) -> torch.Tensor:
        """Images as they are judged: the geometry that the weights were evaluated with."""
        from featx.data.preprocess import preprocess_image

        return self._tensor([preprocess_image(self.images[i], self.preprocess) for i in rows])

    def augmented(self, rows: Sequence[int], recipe: Plain, rng: Any) -> torch.Tensor:
        """A random part of each, half of them mirrored, colours changed."""
        return self._tensor([self._view(self.images[i], recipe, rng) for i in rows])

    def _view(self, image: Image.Image, recipe: Plain, rng: Any) -> Any:
        height, width = self.preprocess.size_px
        box = _box(image.width, image.height, recipe.crop, rng)
        part = image.resize((width, height), Image.Resampling.BICUBIC, box)
        if rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            part = change(part).enhance(1 + recipe.colour * rng.uniform(-1, 1))
        return np.asarray(part)


def _box(width: int, height: int, least: float, rng: Any) -> tuple[int, int, int, int]:
    for _ in range(10):
        area, ratio = width * height * rng.uniform(least, 1), math.exp(rng.uniform(-0.288, 0.288))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, top = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
            return left, top, left + across, top + down
    return 0, 0, width, height


def train_plain(
    network: nn.Module,
    n_features: int,
    pictures: Pictures,
    y: Any,
    train: Any,
    test: Any,
    recipe: Plain,
    seed: int,
) -> tuple[Any, dict[str, float]]:
    """Probabilities of the test images, and what training took."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.requires_grad_(True)
    head = nn.Linear(n_features, int(y.max()) + 1)
    groups = [(recipe.rate, p) for p in network.parameters()]
    groups += [(recipe.head_rate, p) for p in head.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": [p], "lr": rate, "weight_decay": recipe.weight_decay * (p.ndim > 1)}
         for rate, p in groups]
    )  # fmt: skip
    n_batches = math.ceil(len(train) / recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[rate for rate, _ in groups],
        total_steps=n_batches * recipe.epochs,
        pct_start=recipe.warmup,
    )
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(recipe.epochs):
        _evaluating_norms(network)
        for rows in np.array_split(rng.permutation(train), n_batches):
            x = pictures.augmented(rows, recipe, rng)
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
                z = network(x)[0]
            target = torch.from_numpy(y[rows])
            loss = F.cross_entropy(head(z.float()), target, label_smoothing=recipe.smoothing)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([p for _, p in groups], 1.0)
            optimizer.step()
            schedule.step()
    took = {
        "clock_s": round(time.perf_counter() - started, 1),
        "processor_s": round(time.process_time() - cpu, 1),
    }
    network.eval()
    with torch.no_grad():
        said = [
            torch.softmax(head(network(pictures.plain(test[i : i + 64]))[0]).double(), 1).numpy()
            for i in range(0, len(test), 64)
        ]
    return np.concatenate(said), took


def _evaluating_norms(network: nn.Module) -> None:
    """Training, but for the statistics of batch normalisation."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
