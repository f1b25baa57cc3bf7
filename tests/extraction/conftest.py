"""Small images and a small backbone with seeded random weights, so that nothing is downloaded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from featx.config import ExtractConfig
from featx.engines._torch import TorchEngine
from tests.lab import save_pixels

BACKBONE = "timm:test_resnet"


def write_image(path: Path, seed: int) -> None:
    save_pixels(path, np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8))


@contextmanager
def interrupted_at(batch: int) -> Iterator[None]:
    """Ctrl-C in place of this batch, from 1, and of any that another thread computes later."""
    embed, turns = TorchEngine.embed, itertools.count(1)

    def interrupted(self: TorchEngine, pixels: np.ndarray) -> object:
        if next(turns) >= batch:
            raise KeyboardInterrupt
        return embed(self, pixels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TorchEngine, "embed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of 11 images; one twin, one broken file, one broken twin."""
    root = tmp_path / "images"
    for i in range(22):
        write_image(root / "ab"[i % 2] / f"{i:02}.png", i)
    (root / "a" / "copy.png").write_bytes((root / "b" / "01.png").read_bytes())
    (root / "b" / "broken.png").write_bytes(b"no image")
    (root / "b" / "broken2.png").write_bytes(b"no image")
    return root


@pytest.fixture
def config(tmp_path: Path) -> ExtractConfig:
    return ExtractConfig(
        backbone=[BACKBONE],
        pretrained=False,
        size=32,
        cache=str(tmp_path / "cache"),
        batch_size=4,
        engine="torch",
        device="cpu",
        precision="fp32",
    )
