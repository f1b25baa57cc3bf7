"""Augmented views: rows of their own in the store, never computed twice, none of a test image."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction_lab import extract, extract_embeddings
from PIL import Image

import featx.extraction.reading as reading
from featx.config import ExtractConfig
from featx.data.augment import STRENGTHS, Augmentation, draw_view, view_name
from featx.data.decode import Decoded, decode, decode_image
from featx.data.pixels import spare_pixels, view_pixels
from featx.data.reader import read_manifest
from featx.extraction import Extractor, run_extractors
from featx.store.listing import list_extractors
from featx.store.verification import verify
from tests.extraction.conftest import interrupted_at


def viewed(config: ExtractConfig, views: int, **fields: object) -> ExtractConfig:
    return config.model_copy(update={"views": views, **fields})


def test_views_are_aligned_and_are_what_they_say(images: Path, config: ExtractConfig) -> None:
    """Each equals the plain embedding of a file that holds the view's pixels."""
    found = extract(images, viewed(config, 2))
    report = found.report
    assert (report.images, report.computed, report.quarantined) == (25, 22, 2)
    assert (report.views, report.views_computed, report.duplicates) == (2 * 23, 2 * 22, 1)
    assert found.views.shape == (23, 2, found.spec.n_features)
    assert len(found.failures) == 2
    twin, original = (list(found.ids).index(i) for i in ("a/copy.png", "b/01.png"))
    assert np.array_equal(found.views[twin], found.views[original])
    assert np.array_equal(found.X, extract(images, config).X)
    [extractor] = [Extractor.from_request(r, config) for r in config.requests()]
    engine = extractor.start()
    for i, k in ((0, 0), (7, 1)):
        data = (images / str(found.ids[i])).read_bytes()
        name = view_name(found.hashes[found.ok][i].tobytes(), STRENGTHS["medium"], k + 1)
        view = draw_view(STRENGTHS["medium"], name)
        spare = spare_pixels(decode_image(data), extractor.preprocess)
        batch = view_pixels(spare, extractor.preprocess, view)[None]
        np.testing.assert_allclose(engine.embed(batch)[0][0], found.views[i, k], atol=1e-5)
    assert len({row.tobytes() for row in found.views[0]} | {found.X[0].tobytes()}) == 3


def test_more_views_later_compute_only_the_new_ones(
    images: Path, config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = extract(images, config)
    three = extract(images, viewed(config, 3))
    assert (three.report.computed, three.report.cached) == (0, 23)
    assert three.report.views_computed == 3 * 22
    five = extract(images, viewed(config, 5))
    assert five.report.views_computed == 2 * 22
    assert np.array_equal(five.views[:, :3], three.views)
    assert np.array_equal(five.X, plain.X)
    monkeypatch.setattr(reading, "preprocess_image", None)  # any decode would fail loudly
    monkeypatch.setattr(reading, "view_pixels", None)
    fewer = extract(images, viewed(config, 4))
    assert fewer.report.views_computed == fewer.report.computed == 0
    assert np.array_equal(fewer.views, five.views[:, :4])


def test_views_do_not_depend_on_threads_batches_or_order(
    images: Path, config: ExtractConfig, tmp_path: Path
) -> None:
    expected = extract(images, viewed(config, 2, workers=1))
    other = viewed(config, 2, workers=4, cache=str(tmp_path / "other"))
    extract(images, viewed(other, 1, limit=5))
    assert np.array_equal(extract(images, other).views, expected.views)
    renamed = images.rename(images.with_name("renamed"))
    (renamed / "a" / "00.png").rename(renamed / "a" / "zz.png")
    moved = extract(renamed, viewed(config, 2))
    assert moved.report.views_computed == 0


def test_other_augmentations_are_other_views(images: Path, config: ExtractConfig) -> None:
    light = extract(images, viewed(config, 1, augment="light"))
    strong = extract(images, viewed(config, 1, augment="strong"))
    turned = extract(images, viewed(config, 1, augment="strong", upright=False))
    assert [e.report.views_computed for e in (light, strong, turned)] == [22, 22, 22]
    distances = [np.linalg.norm(e.views[:, 0] - e.X, axis=1).mean() for e in (light, strong)]
    assert 0 < distances[0] < distances[1]
    assert not np.array_equal(strong.views, turned.views)


def test_an_augmentation_that_changes_nothing_gives_the_image_itself(
    images: Path, config: ExtractConfig
) -> None:
    manifest = read_manifest(str(images))
    extractors = [Extractor.from_request(r, config) for r in config.requests()]
    [found] = run_extractors(manifest, extractors, viewed(config, 2), augmentation=Augmentation())
    for k in range(2):
        np.testing.assert_allclose(found.views[:, k], found.X, atol=1e-5)


def split_folder(images: Path) -> Path:
    """Train and test; one test image is a copy of a training image."""
    root = images.parent / "split"
    for i, path in enumerate(sorted(images.rglob("[0-9]*.png"))):
        place = root / ("test" if i % 4 == 0 else "train") / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    first = next(iter(sorted((root / "train" / "b").iterdir())))
    (root / "test" / "a" / "000.png").write_bytes(first.read_bytes())
    return root


@pytest.mark.parametrize("workers", [1, 3])
def test_test_images_have_no_views(images: Path, config: ExtractConfig, workers: int) -> None:
    """Even where a copy in the test split is met before the training image."""
    root = split_folder(images)
    found = extract(root, viewed(config, 2, workers=workers))
    tested = found.splits == "test"
    assert np.isnan(found.views[tested]).all()
    assert np.isfinite(found.views[~tested]).all()
    assert found.report.views == found.report.views_computed == 2 * (~tested).sum()
    assert found.report.computed == 22
    [folder] = list_extractors(Path(str(config.cache)))
    assert folder.rows == 22 + 2 * (~tested).sum()


def test_the_cache_verifies_and_lost_views_are_computed_again(
    images: Path, config: ExtractConfig
) -> None:
    before = extract(images, viewed(config, 2))
    cache = Path(str(config.cache))
    assert not verify(cache)[0].faults
    shard = next(iter(cache.rglob("*.h5")))
    shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    verify(cache, repair=True)
    after = extract(images, viewed(config, 2))
    assert after.report.views_computed > 0
    assert np.array_equal(after.views, before.views)


def test_one_decode_serves_all_views_and_backbones(
    images: Path, config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []

    def counted(data: bytes, **options: Any) -> Decoded:
        decoded.append(len(data))
        return decode(data, **options)

    monkeypatch.setattr(reading, "decode", counted)
    names = ["timm:test_resnet", "timm:test_efficientnet"]
    both = viewed(config, 3, backbone=names)
    found = extract_embeddings(read_manifest(str(images)), both)
    assert len(decoded) == 23  # 22 contents and one unreadable one
    assert [e.views.shape[:2] for e in found] == [(23, 3), (23, 3)]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16", "1"])
def test_images_of_every_mode_and_of_one_pixel(
    config: ExtractConfig, tmp_path: Path, mode: str
) -> None:
    root = tmp_path / "modes"
    root.mkdir()
    for side in (1, 2, 37):
        pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
        image = Image.fromarray(pixels).convert("L" if mode == "I;16" else mode)
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
        image.save(root / f"{side}.png")
    found = extract(root, viewed(config, 2, augment="strong", upright=False))
    assert found.ok.all()
    assert np.isfinite(found.views).all()


def test_scaled_decoding_has_views_too(config: ExtractConfig, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((600, 500)).save(stream, "JPEG", quality=95)
    (tmp_path / "large.jpg").write_bytes(stream.getvalue())
    whole = extract(tmp_path / "large.jpg", viewed(config, 2))
    scaled = extract(tmp_path / "large.jpg", viewed(config, 2, decode="scaled"))
    distance = np.linalg.norm(whole.views - scaled.views, axis=-1)
    assert (distance < 0.2 * np.linalg.norm(whole.views, axis=-1)).all()


def test_a_dry_run_counts_views(images: Path, config: ExtractConfig) -> None:
    extract(images, viewed(config, 1))
    [extractor] = [Extractor.from_request(r, config) for r in config.requests()]
    [found] = run_extractors(
        read_manifest(str(images)), [extractor], viewed(config, 3), dry_run=True
    )
    assert found.report.views_computed == 2 * 22 + 3  # of the broken file it is not known yet
    assert extract(images, config).report.computed == 0


def test_an_interruption_keeps_what_was_computed(
    images: Path, config: ExtractConfig, tmp_path: Path
) -> None:
    whole = extract(images, viewed(config, 2, cache=str(tmp_path / "whole")))
    with interrupted_at(6):
        extract(images, viewed(config, 2))
    resumed = extract(images, viewed(config, 2))
    assert resumed.report.computed + resumed.report.views_computed == 3 * 22 - 5 * 4
    assert np.array_equal(resumed.views, whole.views)
    assert np.array_equal(resumed.X, whole.X)
