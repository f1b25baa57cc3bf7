"""What tells a class without its content is found; what content explains is not called serious."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from featx.auditing.looking import Look, look_at
from featx.auditing.shortcuts import Shortcut, find_shortcuts
from featx.data.splits import make_folds

N, CLASSES = 120, ["a", "b", "c"]
Y = np.repeat([0, 1, 2], 40)
UNITS = np.arange(N)
FOLDS = make_folds(Y, UNITS, CLASSES, n_folds=4, seed=0)


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featx.auditing.shortcuts._TREES", 10)


def embedded(right: float) -> np.ndarray:
    """Probabilities of a classifier on content that knows class 1 so well."""
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(N, 3))
    scores[:, 1] += right * (Y == 1)
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def shortcuts(looks: list[Look], content: np.ndarray) -> dict[str, Shortcut]:
    found = find_shortcuts(looks, Y, UNITS, CLASSES, FOLDS, content, seed=0)
    return {s.family: s for s in found}


def measured(family: str) -> list[Look]:
    """Looks whose ``family`` gives class b away by ``step``; sizes mean nothing."""
    rng = np.random.default_rng(0)
    blank = np.zeros((64, 64), np.uint8)
    return [
        Look(
            blank,
            {
                family: {"step": float(label == 1) + rng.normal(0, 0.1), "red": rng.normal()},
                "aspect": {"width": rng.normal(), "height": rng.normal()},
            },
            {"format": {"format": "JPEG"}},
        )
        for label in Y
    ]


def test_the_shortcut_is_named_and_innocent_families_are_not() -> None:
    found = shortcuts(measured("border"), embedded(1.0))
    border, aspect = found["border"], found["aspect"]
    assert (border.given_away, border.strongest) == (["b"], {"b": "step"})
    assert border.serious
    assert (aspect.given_away, aspect.serious) == ([], False)
    assert aspect.balanced_accuracy["low"] < 1 / 3 < aspect.balanced_accuracy["high"]
    assert border.by_class["a"]["low"] is None  # no interval where nothing is given away


@pytest.mark.parametrize(
    ("family", "right", "serious"),
    [
        ("border", 20.0, False),  # a sky: the content tells the class as well
        ("border", 1.0, True),
        ("size", 20.0, False),
        ("size", 1.0, True),
        ("compression", 20.0, False),
        ("colour", 1.0, False),  # the subject's own
        ("frame", 20.0, True),  # no content is a frame
        ("metadata", 20.0, True),
    ],
)
def test_only_what_goes_beyond_the_content_is_serious(
    family: str, right: float, serious: bool
) -> None:
    found = shortcuts(measured(family), embedded(right))[family]
    assert found.given_away == ["b"]
    assert found.serious == serious
    assert (found.content["b"]["value"] > 0.99) == (right > 10)


def scene(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return coarse.resize((150, 110), Image.Resampling.BICUBIC)


def framed(image: Image.Image) -> Image.Image:
    return ImageOps.expand(ImageOps.crop(image, 3), 3, fill=(20, 60, 160))


def tagged(image: Image.Image) -> Image.Image:
    ImageDraw.Draw(image).text((4, 4), "SITE B", fill="white", stroke_width=1, stroke_fill="black")
    return image


PLANTED = {
    "frame": lambda image, path: framed(image).save(path, "JPEG", quality=90),
    "mark": lambda image, path: tagged(image).save(path, "JPEG", quality=90),
    "metadata": lambda image, path: image.save(path, "JPEG", quality=60),
    "format": lambda image, path: image.save(path, "PNG"),
    "dimensions": lambda image, path: image.resize((120, 88)).save(path, "JPEG", quality=90),
}


@pytest.mark.parametrize("family", [*PLANTED, "nothing"])
def test_planted_shortcuts_are_serious_however_good_the_content(
    family: str, tmp_path: Path
) -> None:
    for i, label in enumerate(Y):
        path = tmp_path / f"{i}"
        plant = PLANTED.get(family) if label == 1 else None
        if plant is None:
            scene(i).save(path, "JPEG", quality=90)
        else:
            plant(scene(i), path)
    looks = [look for look in look_at([str(tmp_path / f"{i}") for i in range(N)]) if look]
    found = shortcuts(looks, embedded(20.0))
    serious = {name: s.beyond for name, s in found.items() if s.serious}
    if family == "nothing":
        assert serious == {}
    else:
        assert serious[family] == ["b"]
    if family == "mark":
        assert found["mark"].strongest == {"b": "the top left corner"}
