"""Held-out images that are nearly in training are counted and said; others are not."""

from __future__ import annotations

import numpy as np
import pytest

import featx.fitting.near_copies as near_copies
from featx.config import FitConfig
from featx.data.copies import copy_codes
from featx.fitting import FitData, FitResult, fit_heads

QUICK = {"cv": 3, "head": ["ridge"], "jobs": 1}


def data(
    n: int = 120, *, copied: int = 0, noise: float = 0.02, tight: float = 1.0, tested: bool = True
) -> FitData:
    """Two classes whose labels the embeddings hardly tell; the first ``copied`` test images are
    training images again, but for a little noise and under the same label."""
    rng = np.random.default_rng(7)
    y = np.arange(n) % 2
    centre = rng.normal(size=(2, 40)) / tight
    X = centre[y] + rng.normal(size=(n, 40)) * tight
    test = np.arange(n) >= n - 40
    rows = np.flatnonzero(test)[:copied]
    X[rows] = X[:copied] + noise * rng.normal(size=(copied, 40))
    y[rows] = y[:copied]
    hashes = np.zeros((n, 32), np.uint8)
    hashes[:, 0] = np.arange(n)
    return FitData(
        {"net": X.astype(np.float32)},
        np.array(["a", "b"])[y],
        [f"{i}.png" for i in range(n)],
        hashes,
        splits=np.where(test, "test", "train") if tested else None,
    )


def said(result: FitResult) -> list[str]:
    return [note for note in result.notes if note.startswith("Near copies")]


def test_near_copies_of_test_images_are_counted_and_said() -> None:
    result = fit_heads(data(copied=16), FitConfig(**QUICK))
    found = result.document()["near_copies"]
    assert (found["judged"], found["images"], found["near"]) == ("test", 40, 16)
    test = result.held[-1]
    right = test.y_pred == test.part.y
    assert found["accuracy_near"] == pytest.approx(right[:16].mean())
    assert found["accuracy_others"] == pytest.approx(right[16:].mean())
    assert said(result) == [
        "Near copies: 16 of 40 test images have a nearly identical training image. The model is "
        f"right on {100 * right[:16].mean():.0f} % of these and on {100 * right[16:].mean():.0f} % "
        "of the others. featx audit lists them."
    ]
    clean = fit_heads(data(), FitConfig(**QUICK))
    assert result.estimate["n_images"] == clean.estimate["n_images"]  # nothing was left out


@pytest.mark.parametrize("estimate", ["nested", "cv", "holdout", "repeated"])
def test_near_copies_in_other_folds_are_found(estimate: str) -> None:
    config = FitConfig(**QUICK, estimate=estimate, repeats=2)
    result = fit_heads(data(copied=30, tested=False), config)
    found = result.document()["near_copies"]
    assert found["judged"].startswith({"cv": "oof"}.get(estimate, estimate))
    share = found["near"] / found["images"]
    assert 0.2 < share <= 0.5  # 60 of 120 have one, two thirds of them in another fold
    assert len(said(result)) == 1


def test_those_in_one_group_are_in_one_fold_and_not_said() -> None:
    images = data(copied=30, tested=False)
    images.groups = np.array([f"g{i if i < 80 else i - 80}" for i in range(120)])
    result = fit_heads(images, FitConfig(**QUICK))
    assert result.near_copies.near == 0
    assert not said(result)


@pytest.mark.parametrize("tight", [1.0, 0.2, 0.02])
def test_images_that_are_not_copies_are_not_said(tight: float) -> None:
    """Nor classes whose images all look much alike."""
    result = fit_heads(data(tight=tight), FitConfig(**QUICK))
    assert result.near_copies.near < 2
    assert not said(result)


def test_a_few_are_kept_and_not_said() -> None:
    result = fit_heads(data(copied=3), FitConfig(**QUICK))
    assert result.near_copies.near == 3
    assert not said(result)


def test_of_many_images_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_copies, "FEWEST", 20)
    monkeypatch.setattr(near_copies, "MOST_PRODUCTS", 1)
    monkeypatch.setattr(near_copies, "_BLOCK_ROWS", 7)
    results = [fit_heads(data(copied=40), FitConfig(**QUICK)).near_copies for _ in range(2)]
    assert results[0] == results[1]
    assert (results[0].images, results[0].near) == (20, 20)
    assert results[0].accuracy_others is None
    [note] = near_copies.near_copy_notes(results[0])
    assert note.startswith("Near copies: 20 of 20 test images")


def test_copies_by_pixels_leave_training_and_stay_together() -> None:
    images = data(copied=16, noise=0.0)
    pixels = images.hashes[:, :16].copy()
    pixels[:, 1] = 1
    pixels[80:96] = pixels[:16]
    images.copies = copy_codes(images.hashes, pixels)
    result = fit_heads(images, FitConfig(**QUICK))
    assert result.settings["n_images"] == 80 - 16
    assert result.near_copies.near == 0
    assert any(
        "16 training images are copies of test images (0 in equal files, 16 of equal pixels; "
        "the first: 0.png)" in note
        for note in result.notes
    )
