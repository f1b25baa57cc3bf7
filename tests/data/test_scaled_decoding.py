"""Scaled decoding: JPEG files alone, never below twice what is needed, nearly the same pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featx.data.decode import decode_image
from featx.data.pixels import read_pixels
from featx.data.preprocess import resized_size
from featx.types import Preprocess

REFERENCE = Preprocess((64, 64))
SCALED = Preprocess((64, 64), decode="scaled")


def photograph(height: int, width: int, format_name: str = "JPEG", orientation: int = 1) -> bytes:
    """Smooth shapes with a little grain."""
    rng = np.random.default_rng(height * 10_000 + width)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    pixels = (smooth + rng.integers(-4, 5, smooth.shape)).clip(0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format_name, exif=exif)
    return stream.getvalue()


@given(
    height=st.integers(20, 1500),
    width=st.integers(20, 1500),
    orientation=st.integers(1, 8),
    size=st.sampled_from([(64, 64), (48, 96), (160, 160)]),
    resize=st.sampled_from(["shortest", "squash"]),
)
@settings(max_examples=60)
def test_twice_the_resized_size_is_always_left(height, width, orientation, size, resize) -> None:
    preprocess = Preprocess(size, decode="scaled", resize=resize)
    data = photograph(height, width, orientation=orientation)
    whole, scaled = decode_image(data), decode_image(data, scaled_for=preprocess)
    wanted = resized_size(whole.height, whole.width, preprocess)
    shrunk = whole.width / scaled.width
    assert min(abs(shrunk - s) / s for s in (1, 2, 4, 8)) < 0.06  # sizes are rounded up
    if scaled.size != whole.size:
        assert scaled.height >= 2 * wanted[0]
        assert scaled.width >= 2 * wanted[1]
    if whole.height >= 4 * wanted[0] + 8 and whole.width >= 4 * wanted[1] + 8:
        assert scaled.size != whole.size
    assert read_pixels(data, preprocess).shape == (*size, 3)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_pixels_are_nearly_those_of_the_reference(orientation: int) -> None:
    data = photograph(900, 1300, orientation=orientation)
    reference, scaled = (read_pixels(data, p).astype(int) for p in (REFERENCE, SCALED))
    difference = np.abs(reference - scaled)
    assert difference.max() > 0  # else it was not scaled at all
    assert difference.mean() < 1.0


@pytest.mark.parametrize(
    "data",
    [photograph(900, 1300, "PNG"), photograph(150, 200), photograph(144, 144)],
    ids=["png", "small", "less than four times"],
)
def test_others_are_decoded_as_ever(data: bytes) -> None:
    np.testing.assert_array_equal(read_pixels(data, SCALED), read_pixels(data, REFERENCE))


def test_the_choice_is_part_of_the_fingerprint_and_old_ones_stay() -> None:
    assert SCALED.document() == {**REFERENCE.document(), "decode": "scaled"}
    assert "decode" not in REFERENCE.document()
    for preprocess in (SCALED, REFERENCE):
        assert Preprocess.from_document(preprocess.document()) == preprocess
