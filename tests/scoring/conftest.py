"""A small fitted model and folders of small images; random weights, nothing is downloaded."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from featx.artifact import Model, ModelExtractor
from featx.config import ExtractConfig
from tests.lab import NETWORK, save_pixels

COLOURS = {"=green": (30, 180, 40), "blue": (20, 40, 190), "red": (200, 30, 30)}


def write_image(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 40, (24, 24, 3))
    save_pixels(path, np.array(colour) + noise)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Three colours told apart by logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    import featx

    root = tmp_path_factory.mktemp("fitted")
    for label, colour in COLOURS.items():
        for i in range(6):
            write_image(root / "images" / label / f"{i}.png", colour, i)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extraction = featx.extract(
            root / "images", cache=root / "cache", device="cpu", batch_size=4, **NETWORK
        )
    pipeline = Pipeline([("scaler", StandardScaler()), ("head", LogisticRegression())])
    pipeline.fit(extraction.X, extraction.y)
    return Model(
        classes=pipeline.classes_.tolist(),
        head=pipeline,
        extractors=[ModelExtractor(dict(extraction.spec.document), extraction.request)],
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Six new images in two folders, of which two share a name; a twin and two broken files."""
    root = tmp_path / "new"
    for i, (label, colour) in enumerate(COLOURS.items()):
        write_image(root / f"{i}.png", colour, 100 + i)
        write_image(root / "sub" / f"{i}.png", colour, 200 + i)
        assert label
    (root / "-twin.png").write_bytes((root / "0.png").read_bytes())
    (root / "broken.jpg").write_bytes(b"no image")
    (root / "sub" / "empty.png").write_bytes(b"")
    (root / "notes.txt").write_text("not an image")
    return root


@pytest.fixture
def config(tmp_path: Path) -> ExtractConfig:
    """A cache of its own."""
    return ExtractConfig(cache=str(tmp_path / "cache"), batch_size=4)
