"""A small folder of real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.lab import save_pixels

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eight images of each of three colours, without folders of classes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for name, colour in COLOURS.items():
        for i in range(8):
            pixels = np.array(colour) + rng.integers(-30, 31, (24, 24, 3))
            save_pixels(folder / f"{name}-{i}.png", pixels)
    return folder
