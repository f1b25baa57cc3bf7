"""Photos of two colours, a run on them, and the network of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import featx
from featx.runs import Run
from tests.lab import NETWORK, NUMERICS

SETTINGS: dict[str, Any] = {**NETWORK, **NUMERICS}


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``blue/`` and ``red/``, nine images each of differing sizes; one of them twice."""
    root = tmp_path_factory.mktemp("adapters") / "photos"
    rng = np.random.default_rng(0)
    for i in range(18):
        colour = [200, 60, 60] if i % 2 else [60, 60, 200]
        pixels = np.clip(rng.normal(colour, 60, (40, 40 + i, 3)), 0, 255).astype(np.uint8)
        path = root / ("red" if i % 2 else "blue") / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    Image.open(root / "red" / "01.png").save(root / "red" / "copy.bmp")
    return root


@pytest.fixture(scope="session")
def paths(photos: Path) -> list[Path]:
    """The files, as featx sorts them."""
    return sorted(path for path in photos.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def labels(paths: list[Path]) -> list[str]:
    return [path.parent.name for path in paths]


@pytest.fixture(scope="session")
def run(photos: Path) -> Run:
    """A fit on the photos."""
    root = photos.parent
    options = {"cv": 3, "estimate": "cv", "name": "run", "runs": str(root / "runs")}
    return featx.fit(photos, cache=str(root / "cache"), **options, **SETTINGS)
