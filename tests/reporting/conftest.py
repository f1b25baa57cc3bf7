"""A small run with hostile names, its page, and a browser to open pages in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_lab import HOSTILE

from tests.lab import NETWORK, TUNING, save_pixels

COLOURS = {HOSTILE: (200, 40, 30), "=blue": (60, 60, 150), "green": (60, 110, 120)}


def placed(images: Path, name: str) -> dict[str, Any]:
    """The small network, a page, and a place for the run beside the images."""
    folders = {"runs": images.parent / "runs", "cache": images.parent / "cache"}
    return {**NETWORK, "report": True, "name": name, **folders}


def fitted(images: Path, name: str, **options: Any) -> Any:
    """A run with a page."""
    import featx

    return featx.fit(images, cv=3, estimate="cv", **placed(images, name), **options)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 12 noisy images that are not quite told apart, and a broken file."""
    root = tmp_path_factory.mktemp("report") / "photos"
    rng = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        for i in range(12):
            tint = np.array(colour) + rng.normal(0, 35, 3)
            pixels = tint + rng.normal(0, 30, (24, 24, 3))
            save_pixels(root / label / f"{i}<img src=x onerror=alert(2)>.png", pixels)
    (root / "green" / "broken.png").write_bytes(b"\x89PNG nothing")
    return root


@pytest.fixture(scope="session")
def run(photos: Path) -> Any:
    """The run, which has its page."""
    return fitted(photos, "first", head=["logreg", "knn"])


@pytest.fixture(scope="session")
def larger(photos: Path) -> Any:
    """A run on 120 images, enough for a learning curve and a sample of training images."""
    root = photos.parent / "larger"
    rng = np.random.default_rng(5)
    for label, colour in {HOSTILE: (180, 60, 60), "b": (60, 60, 180)}.items():
        for i in range(60):
            tint = np.array(colour) + rng.normal(0, 40, 3)
            save_pixels(root / label / f"{i}.png", tint + rng.normal(0, 30, (24, 24, 3)))
    return fitted(root, "larger", head=["ridge"], learning_curve=True)


@pytest.fixture(scope="session")
def tuned(photos: Path) -> Any:
    """A run whose backbone was trained too."""
    import featx

    return featx.finetune(photos, **TUNING, epochs=2, **placed(photos, "tuned"))


@pytest.fixture(scope="session")
def many(photos: Path) -> Any:
    """A run of 45 classes with 4 images each, more than have colours or names in a matrix."""
    root = photos.parent / "many"
    rng = np.random.default_rng(7)
    for c in range(45):
        for i in range(4 + (c < 24)):
            pixels = rng.integers(0, 256, 3) * 0.3 + c * 4 + rng.normal(0, 20, (24, 24, 3))
            save_pixels(root / f"class {c:02}" / f"{i}.png", pixels)
    return fitted(root, "many", head=["prototypes"])
