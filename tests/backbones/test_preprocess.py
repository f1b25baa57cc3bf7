"""The geometry of preprocessing is that of the zoos' own evaluation transforms, to the pixel."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featx.data.preprocess import preprocess_image
from featx.types import Preprocess

SIZES = [(1, 1), (1, 7), (3, 2), (31, 32), (224, 224), (256, 256), (500, 333), (97, 640), (235, 99)]


def picture(width: int, height: int) -> Image.Image:
    """Coarse blobs with fine noise: both resampling and cropping leave traces in it."""
    rng = np.random.default_rng(width * 1000 + height)
    noise = rng.integers(0, 256, (height, width, 3))
    ramp = np.linspace(0, 255, width)[None, :, None]
    return Image.fromarray(((noise + ramp) / 2).astype(np.uint8))


def torchvision_pixels(image: Image.Image, size: int, edge: int, interpolation: str) -> np.ndarray:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms._presets import ImageClassification

    transform = ImageClassification(
        crop_size=size,
        resize_size=edge,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        interpolation=InterpolationMode(interpolation),
    )
    return to_uint8(transform(image))


def timm_pixels(image: Image.Image, p: Preprocess) -> np.ndarray:
    from timm.data import create_transform

    transform = create_transform(
        input_size=(3, *p.size_px),
        interpolation=p.interpolation,
        crop_pct=p.crop,
        crop_mode="squash" if p.resize == "squash" else "center",
        mean=(0, 0, 0),
        std=(1, 1, 1),
    )
    return to_uint8(transform(image))


def to_uint8(tensor) -> np.ndarray:
    return (tensor * 255).round().byte().permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("size", "edge"), [(224, 256), (224, 232), (299, 342), (240, 255)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", SIZES)
def test_torchvision_geometry(shape, size, edge, interpolation):
    image = picture(*shape)
    p = Preprocess(size_px=(size, size), interpolation=interpolation, crop=size / edge)
    expected = torchvision_pixels(image, size, edge, interpolation)
    np.testing.assert_array_equal(preprocess_image(image, p), expected)


@pytest.mark.parametrize(
    "p",
    [
        Preprocess((224, 224), crop=0.95),
        Preprocess((288, 288), crop=1.0),
        Preprocess((256, 256), interpolation="bilinear", crop=0.9),
        Preprocess((192, 192), resize="squash", crop=0.9),
        Preprocess((64, 64), resize="squash", crop=1.0),
        Preprocess((128, 96), crop=0.875),
        Preprocess((96, 128), interpolation="lanczos", crop=1.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", SIZES)
def test_timm_geometry(shape, p):
    image = picture(*shape)
    np.testing.assert_array_equal(preprocess_image(image, p), timm_pixels(image, p))


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    size=st.integers(8, 64),
    crop=st.sampled_from([0.5, 0.8, 0.875, 0.9, 0.95, 1.0]),
    resize=st.sampled_from(["shortest", "squash"]),
)
def test_any_image_agrees_with_timm(width, height, size, crop, resize):
    image = picture(width, height)
    p = Preprocess((size, size), resize=resize, crop=crop)
    ours, theirs = preprocess_image(image, p), timm_pixels(image, p)
    assert ours.shape == (size, size, 3)
    assert ours.dtype == np.uint8
    difference = np.abs(ours.astype(int) - theirs)
    if max(width, height) <= 15 * min(width, height):
        assert difference.max() == 0
    else:  # perhaps only the crop was resized, by Pillow's other order of the two passes
        assert difference.mean() < 3


@pytest.mark.parametrize("shape", [(40_000, 1), (1, 40_000), (30_000, 2)])
def test_a_thread_of_pixels_does_not_ask_for_gigabytes(shape, monkeypatch):
    image = picture(*shape)
    areas = []
    resize = Image.Image.resize

    def spy(self, size, *args, **kwargs):
        areas.append(size[0] * size[1])
        return resize(self, size, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "resize", spy)
    pixels = preprocess_image(image, Preprocess())
    assert pixels.shape == (224, 224, 3)
    assert max(areas) <= 64 * 224 * 224


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_long_images_nearly_agree_with_the_whole_resize(interpolation):
    image = picture(4000, 40)
    p = Preprocess((48, 48), interpolation=interpolation, crop=0.875)
    difference = preprocess_image(image, p).astype(int) - timm_pixels(image, p)
    assert np.abs(difference).mean() < 0.5
    if interpolation == "bilinear":  # which never overshoots
        assert np.abs(difference).max() <= 2


def test_every_torchvision_weight_gives_back_its_resize_edge():
    from featx.backbones.torchvision import PLUGIN, _preprocess, _resolve

    for name in PLUGIN.names():
        _, weights = _resolve(name)
        p = _preprocess(weights)
        own = weights.transforms()
        assert p.size_px == (own.crop_size[0],) * 2
        assert math.floor(p.size_px[0] / p.crop + 1e-6) == own.resize_size[0], name
        assert p.interpolation == own.interpolation.value


def test_every_timm_weight_gives_timms_own_edge():
    import timm
    from timm.models import get_pretrained_cfg

    for name in timm.list_models(pretrained=True):
        cfg = get_pretrained_cfg(name)
        for crop in filter(None, (cfg.crop_pct, cfg.test_crop_pct)):
            for size in cfg.input_size[1:]:
                assert math.floor(size / crop) == math.floor(size / crop + 1e-6), name


def test_the_crop_is_part_of_the_document():
    assert replace(Preprocess(), crop=0.5).document() != Preprocess().document()
