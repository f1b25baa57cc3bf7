"""Augmented views: known answers for each operation, and the same view everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from featx.config import ExtractConfig
from featx.data.augment import (
    STRENGTHS,
    Augmentation,
    View,
    draw_view,
    named_augmentation,
    view_name,
)
from featx.data.pixels import spare_pixels, view_pixels
from featx.data.preprocess import preprocess_image
from featx.types import Preprocess

NAME = bytes(range(32))
STRONG = named_augmentation("strong", upright=False)


def picture(height: int = 30, width: int = 40, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def smooth(height: int = 120, width: int = 160) -> Image.Image:
    """A picture whose pixels do not depend much on how it is interpolated."""
    return picture(12, 16).resize((width, height), Image.Resampling.BICUBIC)


def array(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


def only(**fields: float) -> Augmentation:
    return Augmentation(**fields)  # type: ignore[arg-type]


def test_nothing_is_the_default() -> None:
    assert draw_view(Augmentation(), NAME) == View(seed=draw_view(Augmentation(), NAME).seed)
    image = picture()
    assert np.array_equal(array(View().of_image(image)), array(image))
    pixels = np.asarray(image)
    assert View().of_pixels(pixels) is pixels
    preprocess = Preprocess((32, 32))
    expected = preprocess_image(image, preprocess)
    assert np.array_equal(
        view_pixels(spare_pixels(image, preprocess), preprocess, View()), expected
    )


def test_mirroring_twice_is_nothing() -> None:
    image = picture()
    mirrored = View(mirrored=True).of_image(image)
    assert np.array_equal(array(mirrored), array(image)[:, ::-1])
    assert np.array_equal(array(View(mirrored=True).of_image(mirrored)), array(image))


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_are_exact_and_to_the_left(quarters: int) -> None:
    turned = View(quarters=quarters).of_image(picture())
    assert np.array_equal(array(turned), np.rot90(array(picture()), quarters))


@pytest.mark.parametrize("angle", [-30.0, -7.0, 12.0, 90.0, 180.0])
def test_rotation_is_that_of_pillow_where_no_border_is_seen(angle: float) -> None:
    image = smooth(120, 120)
    expected = image.rotate(angle, Image.Resampling.BICUBIC)
    found = View(rotated_deg=angle).of_image(image)
    middle = slice(40, 80)
    assert np.abs(array(found) - array(expected))[middle, middle].max() <= 1


def test_large_images_are_moved_like_small_ones() -> None:
    image = smooth(240, 240)
    expected = image.rotate(25.0, Image.Resampling.BILINEAR)
    middle = slice(80, 160)
    found = View(rotated_deg=25.0).of_image(image)
    assert np.abs(array(found) - array(expected))[middle, middle].max() <= 1


def test_translation_brings_in_the_reflection() -> None:
    """Right by a tenth of 30 pixels and up by a fifth: the border is mirrored, not black."""
    image = picture()
    found = array(View(shifted=(0.1, -0.2)).of_image(image))
    pixels = array(image)
    expected = np.concatenate([pixels[:, 2::-1], pixels[:, :-3]], axis=1)
    expected = np.concatenate([expected[6:], expected[:-7:-1]], axis=0)
    assert np.array_equal(found, expected)


def test_zooming_in_shows_the_middle_and_out_its_surroundings() -> None:
    image = smooth()
    near = array(View(zoomed=2.0).of_image(image))
    expected = image.crop((40, 30, 120, 90)).resize(image.size, Image.Resampling.BICUBIC)
    assert np.abs(near - array(expected))[4:-4, 4:-4].mean() < 2
    far = array(View(zoomed=0.5).of_image(image))
    small = array(image.resize((80, 60), Image.Resampling.BOX))
    assert np.abs(far[30:90, 40:120] - small).mean() < 2
    assert np.abs(far[29::-1, 40:120] - small[:30]).mean() < 2  # the reflection above it


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.floats(-180, 180),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    st.floats(0.25, 4),
)
def test_no_black_corner_ever(
    height: int, width: int, angle: float, shift: tuple[float, float], zoom: float
) -> None:
    image = Image.new("RGB", (width, height), (200, 100, 50))
    view = View(rotated_deg=angle, shifted=shift, zoomed=zoom)
    assert np.array_equal(array(view.of_image(image)), array(image))


def test_brightness_contrast_saturation_have_their_plain_meaning() -> None:
    image = Image.fromarray((np.asarray(picture()) // 4 + 60).astype(np.uint8))  # nothing clips
    pixels = array(image)
    bright = array(View(brightness=1.3).of_image(image))
    assert np.abs(bright - 1.3 * pixels).max() <= 1
    grey = array(image.convert("L"))
    contrast = array(View(contrast=0.5).of_image(image))
    assert np.abs(contrast - (0.5 * pixels + 0.5 * grey.mean())).max() <= 1
    dull = array(View(saturation=0.0).of_image(image))
    assert np.abs(dull - grey[..., None]).max() <= 1
    half = array(View(saturation=0.5).of_image(image))
    assert np.abs(half - (pixels + grey[..., None]) / 2).max() <= 1


def test_hue_turns_colours_and_leaves_greys() -> None:
    grey = Image.new("RGB", (2, 2), (90, 90, 90))
    assert np.abs(array(View(hue=0.3).of_image(grey)) - 90).max() <= 1
    image = Image.fromarray((np.asarray(picture()) // 4 + 90).astype(np.uint8))
    there = View(hue=0.2).of_image(image)
    assert np.abs(array(there) - array(image)).max() > 20
    assert np.abs(array(there.convert("L")) - array(image.convert("L"))).max() <= 2
    assert np.abs(array(View(hue=-0.2).of_image(there)) - array(image)).max() <= 3
    whole = array(View(hue=1.0).of_image(image))
    assert np.abs(whole - array(image)).max() <= 1


def test_noise_has_the_stated_spread_and_its_own_seed() -> None:
    pixels = np.full((64, 64, 3), 128, np.uint8)
    noisy = View(noise=0.05, seed=1).of_pixels(pixels).astype(float) - 128
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.03)
    assert abs(noisy.mean()) < 0.5
    assert np.array_equal(noisy, View(noise=0.05, seed=1).of_pixels(pixels) - 128.0)
    assert not np.array_equal(noisy, View(noise=0.05, seed=2).of_pixels(pixels) - 128.0)
    assert View(noise=1.0).of_pixels(np.zeros((8, 8, 3), np.uint8)).dtype == np.uint8


def test_draws_stay_within_the_augmentation_and_use_all_of_it() -> None:
    views = [draw_view(STRONG, view_name(NAME, STRONG, k)) for k in range(1, 2001)]
    ranges = {
        "rotated_deg": (-30, 30),
        "zoomed": (1 / 1.5, 1.5),
        "brightness": (0.6, 1.4),
        "contrast": (0.6, 1.4),
        "saturation": (0.6, 1.4),
        "hue": (-0.05, 0.05),
        "noise": (0, 0.03),
    }
    for name, (low, high) in ranges.items():
        drawn = np.array([getattr(view, name) for view in views])
        margin = 0.02 * (high - low)
        assert low <= drawn.min() < low + margin, name
        assert high - margin < drawn.max() <= high, name
    shifts = np.array([view.shifted for view in views])
    assert 0.14 < np.abs(shifts).max() <= 0.15
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.1
    assert 900 < sum(view.mirrored for view in views) < 1100
    assert np.bincount([view.quarters for view in views], minlength=4).min() > 400
    upright = STRENGTHS["strong"]
    assert {draw_view(upright, view_name(NAME, upright, k)).quarters for k in range(1, 50)} == {0}


def test_the_name_depends_on_image_augmentation_and_number() -> None:
    names = {
        view_name(sha256, augmentation, number)
        for sha256 in (NAME, NAME[::-1])
        for augmentation in (*STRENGTHS.values(), STRONG)
        for number in (1, 2, 3)
    }
    assert len(names) == 2 * 4 * 3
    assert {len(name) for name in names} == {32}


def test_a_view_is_the_same_in_another_process() -> None:
    """And stays what it is: the digest is that of version 1."""
    code = (
        "import hashlib\nfrom featx.data.augment import *\n"
        "a = named_augmentation('medium', upright=False)\n"
        "name = view_name(bytes(range(32)), a, 3)\n"
        "print(name.hex(), draw_view(a, name))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    augmentation = named_augmentation("medium", upright=False)
    name = view_name(NAME, augmentation, 3)
    view = draw_view(augmentation, name)
    assert run.stdout.strip() == f"{name.hex()} {view}"
    assert name.hex()[:16] == GOLDEN_NAME
    assert (view.mirrored, view.quarters, round(view.rotated_deg, 6)) == GOLDEN_VIEW


GOLDEN_NAME = "76a961b580c59a09"
GOLDEN_VIEW = (True, 1, -7.477774)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 3), (1, 4000), (4000, 1)])
@pytest.mark.parametrize("resize", ["shortest", "squash"])
def test_tiny_and_long_images_have_views(size: tuple[int, int], resize: str) -> None:
    preprocess = Preprocess((32, 48), resize=resize)  # type: ignore[arg-type]
    spare = spare_pixels(picture(*size), preprocess)
    for number in range(1, 5):
        view = draw_view(STRONG, view_name(NAME, STRONG, number))
        assert view_pixels(spare, preprocess, view).shape == (32, 48, 3)


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(["shortest", "squash"]))
def test_large_images_are_reduced_and_twice_the_network_is_left(
    height: int, width: int, resize: str
) -> None:
    preprocess = Preprocess((32, 32), resize=resize)  # type: ignore[arg-type]
    spare = spare_pixels(Image.new("RGB", (width, height)), preprocess)
    for side, given_side in zip(spare.size, (width, height), strict=True):
        seen = min(given_side, 4 * min(height, width)) if resize == "shortest" else given_side
        assert side >= min(seen - 1, 64)
    assert max(spare.size) <= 4 * 4 * 2 * 36


@pytest.mark.parametrize(
    "fields", [{"version": 2}, {"zoom": 0.5}, {"rotate_deg": 1e9}, {"shift": 2.0}, {"blur": 1.0}]
)
def test_an_augmentation_from_a_file_is_checked(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Augmentation.model_validate(fields)


def test_an_augmentation_survives_json() -> None:
    for augmentation in STRENGTHS.values():
        document = augmentation.model_dump()
        assert Augmentation.model_validate(document) == augmentation
        assert document["version"] == 1


def test_every_strength_has_a_flag() -> None:
    assert get_args(ExtractConfig.model_fields["augment"].annotation) == tuple(STRENGTHS)


def percent(share: float) -> str:
    return f"± {100 * share:.0f} %" if share else "–"


def test_the_table_in_the_documentation_is_right() -> None:
    page = (Path(__file__).parents[2] / "docs/views.md").read_text("utf-8")
    for name, a in STRENGTHS.items():
        assert a.brightness == a.contrast == a.saturation
        assert a.mirror
        noise = f"{100 * a.noise:.0f} %" if a.noise else "–"
        cells = [f"`{name}`", "yes", f"± {a.rotate_deg:.0f}°", percent(a.shift), f"{a.zoom:g}"]
        cells += [percent(a.brightness), percent(a.hue), noise]
        assert f"| {' | '.join(cells)} |" in page
