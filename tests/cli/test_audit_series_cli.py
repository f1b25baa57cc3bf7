"""Neighbours of a series: named, kept together, never left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import BACKBONE
from tests.lab import csv_rows

Y, X = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64), indexing="ij")


def body(seed: int, depth: float) -> Image.Image:
    """A slice of a body of smooth shapes; a little further on, a little different."""
    rng = np.random.default_rng(seed)
    pixels = 60 + 90.0 * (X**2 + Y**2 < 0.85)
    for _ in range(10):
        z, y, x = rng.uniform(-0.5, 0.5, 3)
        far = ((Y - y) ** 2 + (X - x) ** 2 + (depth - z) ** 2) / rng.uniform(0.15, 0.4) ** 2
        pixels += rng.uniform(-60, 60) * np.clip((1.1 - far) * 4, 0, 1)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Four patients of two classes with six slices each, the last of which are test images."""
    for patient in range(4):
        for i in range(6):
            split = "test" if i > 3 and patient < 2 else "train"
            folder = tmp_path / "scans" / split / "ab"[patient % 2]
            folder.mkdir(parents=True, exist_ok=True)
            body(patient, 0.06 * i).save(folder / f"patient{patient}_slice{i:02}.png")
    first = tmp_path / "scans" / "train" / "a" / "patient2_slice00.png"
    body(2, 0).transpose(Image.Transpose.ROTATE_90).save(first.with_name("again.png"))
    return tmp_path / "scans"


def test_neighbouring_slices_are_named_and_kept_together(featx, scans: Path) -> None:
    made = featx("audit", str(scans), *BACKBONE, "-o", "scans-audit", "--folds", "2", "--json")
    assert made.code == 0, made.err
    document = json.loads(made.out)
    assert [len(s["ids"]) for s in document["series"]] == [6, 6, 6, 6]
    assert [s["across_splits"] for s in document["series"]] == [True, True, False, False]
    turned = {"train/a/again.png", "train/a/patient2_slice00.png"}
    assert [set(c["ids"]) for c in document["copies"]] == [turned]
    assert "neighbours of a series across splits" in document["serious"]
    assert any(
        s.startswith("Same series, not copies: 4 sets of neighbouring slices or frames (24 images)")
        for s in document["summary"]
    )
    folder = Path("scans-audit")
    assert len(csv_rows(folder / "series.csv")) == 24
    assert {
        row["path"] for row in csv_rows(folder / "exclude.csv")
    } < turned  # no slice but the copy
    groups = {row["path"]: row["group"] for row in csv_rows(folder / "groups.csv")}
    assert len(groups) == 25
    # a copy of one slice is kept together with the whole series
    slices = {groups[f"train/a/patient2_slice{i:02}.png"] for i in range(6)}
    assert slices == {groups["train/a/again.png"]}
    assert len(set(groups.values())) == 4
    assert "Same series, not copies: 4" in (folder / "audit.html").read_text("utf-8")
