"""HEIC where pillow-heif is installed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from featx.data.decode import decode
from featx.data.kinds import HEIC, sniff
from featx.data.reader import read_manifest
from featx.errors import DecodeError

heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")


@pytest.fixture(scope="module", autouse=True)
def writer() -> None:
    heif.register_heif_opener()


def picture() -> Image.Image:
    image = Image.new("RGB", (96, 64), (250, 20, 20))
    image.paste((20, 20, 250), (0, 0, 24, 64))
    return image


def encoded(image: Image.Image, format: str = "HEIF", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_heic_is_read(mode):
    data = encoded(picture().convert(mode), quality=95)
    found = decode(data)
    assert (found.format, found.image.mode, found.image.size) == ("HEIF", "RGB", (96, 64))
    expected = np.asarray(picture().convert(mode).convert("RGB"), int)
    assert np.abs(np.asarray(found.image, int) - expected).mean() < 3
    assert sniff(data) == HEIC


def test_a_heic_is_turned_once():
    """Its own transform and its EXIF say the same; both together would turn it twice."""
    exif = Image.Exif()
    exif[0x112] = 6
    turned = decode(encoded(picture(), exif=exif)).image
    upright = picture() if turned.size == (96, 64) else picture().rotate(-90, expand=True)
    assert np.abs(np.asarray(turned, int) - np.asarray(upright, int)).mean() < 3


def test_the_first_of_several_images():
    data = encoded(picture(), save_all=True, append_images=[Image.new("RGB", (32, 32))])
    assert decode(data).image.size == (96, 64)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9])
def test_a_heic_that_is_cut_off_is_refused(share):
    data = encoded(Image.effect_noise((128, 128), 80).convert("RGB"))
    with pytest.raises(DecodeError):
        decode(data[: int(share * len(data))])


def test_heic_files_are_rows(tmp_path):
    for name in ("cat/1.HEIC", "dog/2.heif", "dog/3.hif", "dog/4.avifs"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(picture()))
    manifest = read_manifest(str(tmp_path))
    assert len(manifest) == 4
    assert not manifest.ignored
