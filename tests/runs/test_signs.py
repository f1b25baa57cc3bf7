"""Class folders and files whose names begin with what spreadsheets take for a formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import featx
from tests.lab import NETWORK, TUNING, Featx, flags, in_process

COLOURS = {"-": (200, 60, 60), "+": (60, 60, 200)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve images a class, in ``+/`` and ``-/``, one of them named like a formula."""
    rng = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for i in range(12):
            pixels = np.clip(np.array(colour) + rng.normal(0, 30, (24, 24, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{'=' * (i == 0)}{i}.png")
    return tmp_path / "photos"


def test_a_run_of_classes_named_by_signs_is_tuned_compared_and_reported(
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photos.parent)
    run = in_process(capfd)
    fitted: Featx = lambda *words: run(*words, "--cache", "cache")  # noqa: E731
    small = [*flags(NETWORK), "--engine", "torch", "--device", "cpu", "--precision", "fp32"]
    made = fitted("fit", "photos", *small, "--head", "ridge", "--cv", "2", "--name", "first")
    assert made.code == 0, made.err
    training = [*flags(TUNING), "--epochs", "1", "--name", "tuned"]
    tuned = fitted("finetune", "photos", "--from", "runs/first", *training)
    assert tuned.code == 0, tuned.err
    compared = run("compare", "runs/first", "runs/tuned")
    assert compared.code == 0, compared.err
    reported = run("report", "runs/first", "-o", "page.html")
    assert reported.code == 0, reported.err
    assert "This page has no pictures" not in (photos.parent / "page.html").read_text("utf-8")
    ids = featx.load_run("runs/first").predictions["oof"].ids
    assert sorted(ids)[0] == "+/1.png"
    assert sorted(ids)[-1] == "-/=0.png"
