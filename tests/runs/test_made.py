"""A run that was just made and the same run read from its folder."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featx
from featx.artifact.folder import FolderReader
from featx.finetuning.guard import PairedChange
from featx.runs import Run
from tests.lab import NETWORK, TUNING, save_pixels

PARTS = ("ids", "fold", "y", "y_pred", "proba", "unit", "content", "repeat")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of noisy images, and a broken one."""
    root = tmp_path_factory.mktemp("made") / "photos"
    rng = np.random.default_rng(0)
    for label, colour in {"-a": (200, 60, 60), "b": (60, 60, 200)}.items():
        for i in range(10):
            pixels = np.array(colour) + rng.normal(0, 60, (24, 24, 3))
            save_pixels(root / label / f"{i}.png", pixels)
    (root / "b" / "broken.png").write_bytes(b"nothing")
    return root


def refuse(reader: FolderReader, name: str, limit: int) -> Any:
    raise AssertionError(f"{name} was read back")


@pytest.mark.parametrize("kind", ["fit", "finetune"])
def test_what_is_in_memory_is_what_is_on_disk_and_is_not_read_back(
    kind: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**NETWORK, "runs": tmp_path, "name": "x", "cache": photos.parent / "cache"}
    with monkeypatch.context() as patch:
        patch.setattr(FolderReader, "read", refuse)
        patch.setattr(
            PairedChange, "below", lambda *_: None
        )  # the fine-tuned model ships, however good
        if kind == "fit":
            made = featx.fit(photos, **options, head=["ridge"], cv=2, report=True)
        else:
            options |= {**TUNING, "epochs": 1, "folds": 2, "heat_maps": False}
            made = featx.finetune(photos, **options, report=True)
    assert (made.folder / "report.html").is_file()
    assert (made.folder / "model" / "README.md").is_file()
    read = featx.load_run(made.folder)
    assert read.results == made.results
    assert list(read.results) == list(made.results)
    assert read.results.document() == made.results.document()
    assert list(read.predictions) == list(made.predictions)
    for split, part in read.predictions.items():
        for name in PARTS:
            np.testing.assert_array_equal(
                getattr(part, name), getattr(made.predictions[split], name)
            )
    assert read.epochs == made.epochs
    assert len(made.epochs) == (0 if kind == "fit" else 6)
    assert read.environment == made.environment
    assert [astuple(f) for f in read.failures] == [astuple(f) for f in made.failures]
    assert read.config == made.config
    assert read.model_document == made.model_document
    check_model(made, read)


def check_model(made: Run, read: Run) -> None:
    """Both models answer alike, and their weights lie in the run."""
    assert made.model.classes == read.model.classes == made.classes
    X = np.random.default_rng(0).normal(size=(5, made.model.n_features)).astype(np.float32)
    np.testing.assert_allclose(made.model.predict_proba(X), read.model.predict_proba(X))
    for extractor in made.model.extractors:
        if made.section == "finetune":
            assert extractor.weights is not None
            assert made.folder in extractor.weights.parents
