"""Fixtures of fine-tuning's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from finetune_lab import COLOURS, Lab, paint


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Three classes."""
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``photos``: 30 images of three classes; ``split``: the same with a test split of 9 more."""
    root = tmp_path_factory.mktemp("finetune")
    rng = np.random.default_rng(1)
    for c, colour in enumerate(COLOURS):
        for i in range(10):
            paint(root / "photos" / "abc"[c] / f"{i}.png", colour, rng)
            paint(root / "split" / "train" / "abc"[c] / f"{i}.png", colour, rng)
        for i in range(3):
            paint(root / "split" / "test" / "abc"[c] / f"{i}.png", colour, rng)
    return root
