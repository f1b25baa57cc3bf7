"""A run, a model and a sorted folder, small, to be replaced."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from outputs_lab import Written

from featx.api import runs
from featx.api.runs import RUN, RunContents, write_run
from featx.artifact import Model
from featx.artifact.folder import MODEL, write_folder
from featx.config import DatasetConfig, RunConfig
from featx.scoring.sorting import TREE, Placement, sort_files

DOCUMENT = b'{"format": "featx-model", "files": {"head.safetensors": {}}}'


@pytest.fixture(autouse=True)
def _spare_the_real_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power is cut here: the machine's own disk need not be synced."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def write_model(path: Path, text: str) -> None:
    files = {"model.json": DOCUMENT, "head.safetensors": text.encode()}
    write_folder(path, files, overwrite=True)


def _run(path: Path, text: str) -> None:
    predictions = SimpleNamespace(columns=["id", "y_pred"], rows=lambda: [["0.png", text]])
    contents: Any = RunContents(
        RunConfig(data=DatasetConfig(dataset="photos")),
        {"classes": [text]},
        [],
        predictions,  # type: ignore[arg-type]
        model=text,  # type: ignore[arg-type]
    )
    write_run(path, contents)


@pytest.fixture
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Written]:
    """Each folder that is replaced as a whole; the images are in ``tmp_path / "images"``."""
    images = tmp_path / "images"
    images.mkdir()

    def save(model: Model, folder: Path) -> None:
        write_model(folder, str(model))

    monkeypatch.setattr(runs, "save_model", save)
    monkeypatch.setattr(runs, "_add_card", lambda *arguments: None)
    monkeypatch.setattr(runs, "_environment", dict)

    def tree(path: Path, text: str) -> None:
        (images / f"{text}.png").write_text(text)
        placements = [Placement(f"{text}.png", str(images / f"{text}.png"), "cat")]
        sort_files(path, placements, root=images, mode="copy")

    return {
        "run": Written(
            RUN, _run, lambda path: [(path / "predictions.csv").read_text().split(",")[-1].strip()]
        ),
        "model": Written(
            MODEL, write_model, lambda path: [(path / "head.safetensors").read_text()], claims=True
        ),
        "tree": Written(
            TREE, tree, lambda path: [file.read_text() for file in (path / "cat").iterdir()]
        ),
    }


@pytest.fixture(params=["run", "model", "tree"])
def written(request: pytest.FixtureRequest, kinds: dict[str, Written]) -> Written:
    """One of them."""
    return kinds[request.param]
