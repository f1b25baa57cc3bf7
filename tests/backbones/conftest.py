"""Small networks with random weights; nothing here asks a hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from featx import console
from featx.backbones import Backbone, load_backbone
from featx.types import BackboneRequest


@pytest.fixture
def random_backbone(monkeypatch) -> Callable[..., Backbone]:
    """``random_backbone(name, layers=..., size_px=...)``, without the warning about it."""

    def build(name: str, **options: Any) -> Backbone:
        with monkeypatch.context() as quiet:
            quiet.setattr(console, "warn", lambda message: None)
            return load_backbone(BackboneRequest(name, pretrained=False, **options))

    return build


@pytest.fixture
def pixels() -> Callable[..., np.ndarray]:
    """``pixels(n, size)``: uint8 images of noise, shape (n, size, size, 3)."""

    def draw(n: int, size: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), np.uint8)

    return draw


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks on a busy machine are fastest on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def two_threads(one_thread: None) -> None:
    """Kernels that split a batch, also where the machine has one core."""
    torch.set_num_threads(2)
