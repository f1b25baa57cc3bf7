"""A run, a model and a sorted folder, small, to be replaced."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from outputs_lab import Written

from featx.artifact.folder import MODEL, write_folder
from featx.config import DatasetConfig, RunConfig
from featx.runs import RUN, Predictions, PredictionTable, Run, load_run, write_run, writing
from featx.runs.predictions import text_column
from featx.runs.results import Environment, Results
from featx.scoring.sorting import TREE, Placement, sort_files
from tests.lab import RESULTS

DOCUMENT = b'{"format": "featx-model", "files": {"head.safetensors": {}}}'


@pytest.fixture(autouse=True)
def _spare_the_real_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power is cut here: the machine's own disk need not be synced."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def write_model(path: Path, text: str) -> None:
    files = {"model.json": DOCUMENT, "head.safetensors": text.encode()}
    write_folder(path, files, overwrite=True)


def _run(path: Path, text: str) -> None:
    zero, name = np.zeros(1, np.int64), text_column([text])
    one = Predictions(name, zero, zero, zero, np.ones((1, 1)), zero, name, zero)
    model: Any = SimpleNamespace(extractors=[], name=text)
    run = Run.made(
        path,
        Results.model_validate({**RESULTS, "classes": [text]}),
        config=RunConfig(data=DatasetConfig(dataset="photos")),
        predictions=PredictionTable([text], {"test": one}),
        failures=[],
        model=model,
    )
    write_run(run, card=lambda run: "")


@pytest.fixture
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Written]:
    """Each folder that is replaced as a whole; the images are in ``tmp_path / "images"``."""
    images = tmp_path / "images"
    images.mkdir()

    def save(model: Any, folder: Path) -> None:
        write_model(folder, model.name)

    monkeypatch.setattr(writing, "save_model", save)
    monkeypatch.setattr(Environment, "here", Environment.model_construct)

    def tree(path: Path, text: str) -> None:
        (images / f"{text}.png").write_text(text)
        placements = [Placement(f"{text}.png", str(images / f"{text}.png"), "cat")]
        sort_files(path, placements, root=images, mode="copy")

    return {
        "run": Written(RUN, _run, lambda path: [load_run(path).classes[0]]),
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
