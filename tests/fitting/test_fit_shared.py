"""Real data sets, by tiny pixels instead of a backbone: what matters here is their shape."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from featx.config import FitConfig
from featx.fitting import FitData, fit_heads
from tests.lab import csv_rows

RIDGE = {"head": ["ridge"], "param_grid": {"ridge": {"alpha": [1000.0, 100.0]}}}


def pixels(root, name, every=1):
    """8 x 8 RGB pixels of every n-th image, with labels and, where there is a CSV, groups."""
    table = root / f"{name}.csv"
    if table.exists():
        rows = [(root / r["path"], r["label"], r["group"]) for r in csv_rows(table)]
    else:
        rows = [(p, p.parent.name, "") for p in sorted((root / name).glob("*/*.jpg"))]
    rows = rows[::every]
    X, hashes = [], []
    for path, _, _ in rows:
        hashes.append(np.frombuffer(hashlib.sha256(path.read_bytes()).digest(), np.uint8))
        with Image.open(path) as image:
            X.append(np.asarray(image.convert("RGB").resize((8, 8)), np.float32).ravel())
    groups = np.array([group for *_, group in rows])
    return FitData(
        {"pixels": np.stack(X)},
        np.array([label for _, label, _ in rows]),
        [path.name for path, *_ in rows],
        np.stack(hashes),
        groups if groups[0] else None,
    )


@pytest.mark.slow
def test_bccd_keeps_its_class_of_three(shared_data):
    data = pixels(shared_data, "bccd")
    result = fit_heads(data, FitConfig(**RIDGE, sampler=["smote", "adasyn", "smote-enn"]))
    assert result.settings["class_counts"]["Basophil"] == 3
    assert result.settings["n_folds"] == 5
    assert any("Basophil (3 images)" in note for note in result.notes)
    assert any("smote interpolates between 1 instead of 5" in note for note in result.notes)
    assert result.estimate["method"] == "nested"
    json.dumps(result.document(), allow_nan=False)


@pytest.mark.slow
def test_malaria_by_patient_differs_from_malaria_by_image(shared_data):
    data = pixels(shared_data, "malaria", every=3)
    result = fit_heads(data, FitConfig(**RIDGE))
    assert result.settings["n_groups"] == len(set(data.groups)) > 50
    grouped = result.estimates["cv"]["metrics"]["balanced_accuracy"]["value"]
    by_image = result.estimates["image_level"]["metrics"]["balanced_accuracy"]["value"]
    assert grouped != by_image
    fold = result.held[0].fold
    for group in set(data.groups):
        assert len(set(fold[data.groups == group])) == 1


@pytest.mark.slow
def test_plankton_has_121_classes(shared_data):
    data = pixels(shared_data, "plankton")
    result = fit_heads(data, FitConfig(**RIDGE, cv=3))
    assert len(result.classes) == 121
    assert result.pipeline.decision_function(data.X["pixels"][:5]).shape == (5, 121)
    assert result.estimate["metrics"]["balanced_accuracy"]["value"] > 3 / 121
