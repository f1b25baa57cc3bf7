"""Extraction: aligned, computed once, independent of batches, and safe to interrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extraction_lab import extract, extract_embeddings

import featx.extraction.pipeline as pipeline
import featx.extraction.reading as reading
import featx.extraction.workers as workers
from featx.config import ExtractConfig
from featx.data.decode import decode, decode_image
from featx.data.preprocess import preprocess_image
from featx.data.reader import read_manifest
from featx.engines import _torch as torch_engine
from featx.errors import DecodeError, StoreError
from featx.extraction import Extractor, run_extractors
from tests.extraction.conftest import interrupted_at


def test_every_row_is_there_and_aligned(images: Path, config: ExtractConfig) -> None:
    found = extract(images, config)
    assert len(found.manifest) == 25
    assert found.ok.sum() == 23
    assert [f.id for f in found.failures] == ["b/broken.png", "b/broken2.png"]
    assert all(f.sha256 and f.reason for f in found.failures)
    assert found.X.shape == (23, found.spec.n_features)
    assert found.X.dtype == np.float32
    assert list(found.ids) == [i for i, ok in zip(found.manifest.ids, found.ok, strict=True) if ok]
    assert list(found.y) == [i[0] for i in found.ids]
    twin = np.flatnonzero(found.ids == "a/copy.png")[0]
    original = np.flatnonzero(found.ids == "b/01.png")[0]
    assert np.array_equal(found.X[twin], found.X[original])
    report = found.report
    assert (report.images, report.computed, report.duplicates) == (25, 22, 1)
    assert (report.cached, report.quarantined) == (0, 2)


def test_embeddings_are_those_of_the_plain_forward_pass(
    images: Path, config: ExtractConfig
) -> None:
    import torch

    from featx.backbones import load_backbone

    found = extract(images, config)
    backbone = load_backbone(config.requests()[0])
    for k in (0, 7, 22):
        image = decode_image((images / str(found.ids[k])).read_bytes())
        pixels = preprocess_image(image, backbone.preprocess)
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
        mean = torch.tensor(backbone.preprocess.mean)[None, :, None, None]
        std = torch.tensor(backbone.preprocess.std)[None, :, None, None]
        with torch.inference_mode():
            [expected] = backbone.network.eval()((x - mean) / std)
        np.testing.assert_allclose(found.X[k], expected[0].numpy(), rtol=1e-4, atol=1e-5)


def test_a_second_run_computes_nothing(
    images: Path, config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = extract(images, config)
    monkeypatch.setattr(reading, "preprocess_image", None)  # any decode would fail loudly
    second = extract(images, config)
    assert (second.report.computed, second.report.cached) == (0, 23)
    assert np.array_equal(first.X, second.X)
    assert [f.id for f in second.failures] == [f.id for f in first.failures]


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_embeddings_do_not_depend_on_what_was_computed_before(
    images: Path, config: ExtractConfig, tmp_path: Path, limit: int
) -> None:
    whole = extract(images, config)
    other = config.model_copy(update={"cache": str(tmp_path / "other")})
    extract(images, other.model_copy(update={"limit": limit}))
    resumed = extract(images, other)
    assert resumed.report.cached > 0
    assert np.array_equal(whole.X, resumed.X)


def test_renamed_and_copied_images_cost_nothing(images: Path, config: ExtractConfig) -> None:
    extract(images, config)
    images.rename(images.with_name("moved"))
    again = extract(images.with_name("moved"), config)
    assert again.report.computed == 0


def test_one_decode_serves_several_backbones(
    images: Path, config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    preprocessed: list[int] = []

    def counted_decode(data: bytes, **options: Any) -> object:
        decoded.append(len(data))
        return decode(data, **options)

    def counted_preprocess(image: object, how: object) -> np.ndarray:
        preprocessed.append(1)
        return preprocess_image(image, how)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "decode", counted_decode)
    monkeypatch.setattr(reading, "preprocess_image", counted_preprocess)
    names = ["timm:test_resnet", "timm:test_efficientnet"]
    same = {"crop": 1.0, "interpolation": "bicubic", "resize": "squash"}
    both = config.model_copy(update={"backbone": names, **same})
    found = extract_embeddings(read_manifest(str(images)), both)
    assert [e.name for e in found] == both.backbone
    assert len(decoded) == 23  # 22 contents and one unreadable one
    assert len(preprocessed) == 22
    alone = {"backbone": names[:1], "cache": str(images.parent / "alone")}
    alone = extract(images, both.model_copy(update=alone))
    assert np.array_equal(found[0].X, alone.X)


def test_an_interruption_keeps_what_was_computed(
    images: Path, config: ExtractConfig, tmp_path: Path
) -> None:
    whole = extract(images, config.model_copy(update={"cache": str(tmp_path / "whole")}))
    with interrupted_at(3):
        extract(images, config)
    resumed = extract(images, config)
    assert resumed.report.computed == 22 - 2 * 4
    assert np.array_equal(resumed.X, whole.X)


def test_fail_on_error_names_the_file(images: Path, config: ExtractConfig) -> None:
    with pytest.raises(DecodeError, match=r"b/broken.png: .*\nRepair or remove"):
        extract(images, config.model_copy(update={"on_error": "fail"}))


def test_a_vanished_file_is_quarantined(images: Path, config: ExtractConfig) -> None:
    manifest = read_manifest(str(images))
    (images / "a" / "00.png").unlink()
    [found] = extract_embeddings(manifest, config)
    assert "a/00.png" in [f.id for f in found.failures]
    [failure] = [f for f in found.failures if f.id == "a/00.png"]
    assert failure.sha256 is None
    assert failure.reason == "file not found"


def test_a_cache_that_cannot_be_written(images: Path, config: ExtractConfig) -> None:
    (images.parent / "file").write_text("not a folder")
    blocked = config.model_copy(update={"cache": str(images.parent / "file" / "cache")})
    with pytest.raises((StoreError, OSError)):
        extract(images, blocked)
    found = extract(images, blocked, allow_memory=True)
    assert np.array_equal(found.X, extract(images, config).X)


def test_a_dry_run_counts_and_writes_nothing(images: Path, config: ExtractConfig) -> None:
    [extractor] = [Extractor.from_request(r, config) for r in config.requests()]
    [found] = run_extractors(read_manifest(str(images)), [extractor], config, dry_run=True)
    assert found.report.computed == 23  # contents not cached; whether one is broken is not known
    assert extract(images, config).report.computed == 22


def test_a_failing_commit_is_not_swallowed(
    images: Path, config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, *rows: np.ndarray) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr("featx.store.EmbeddingStore.add", full)
    with pytest.raises(StoreError, match="no space left"):
        extract(images, config)


SMALL_COMMITS = """
import sys, time
import featx.extraction.pipeline as p, featx.engines._torch as t
p.COMMIT_ROWS = 2
embed = t.TorchEngine.embed
def slow(self, batch):
    time.sleep(0.2)
    return embed(self, batch)
t.TorchEngine.embed = slow
from featx.cli.main import main
main(sys.argv[1:])
"""


def command(images: Path, config: ExtractConfig) -> list[str]:
    flags = ["--backbone", config.backbone[0], "--no-pretrained", "--size", "32"]
    cache = ["--cache", str(config.cache), "--batch-size", "2"]
    numerics = ["--engine", "torch", "--device", "cpu", "--precision", "fp32"]
    return [sys.executable, "-c", SMALL_COMMITS, "extract", str(images), *flags, *cache, *numerics]


def shards(config: ExtractConfig) -> int:
    return len(list(Path(str(config.cache)).rglob("*.h5")))


@pytest.mark.slow
def test_kill_9_in_the_middle_then_resume(
    images: Path, config: ExtractConfig, tmp_path: Path
) -> None:
    process = subprocess.Popen(command(images, config), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600  # longer than a machine stops for
    while shards(config) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    pair = config.model_copy(update={"batch_size": 2})
    resumed = extract(images, pair)
    assert 4 <= resumed.report.cached < 23
    whole = extract(images, pair.model_copy(update={"cache": str(tmp_path / "whole")}))
    assert np.array_equal(resumed.X, whole.X)


@pytest.mark.slow
def test_ctrl_c_exits_130_and_keeps_everything_computed(
    images: Path, config: ExtractConfig
) -> None:
    process = subprocess.Popen(command(images, config), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600  # longer than a machine stops for
    while shards(config) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert err.endswith(
        "Interrupted. Nothing computed is lost; run the same command to continue.\n"
    )
    assert extract(images, config).report.cached >= 4


@pytest.mark.slow
def test_two_extractions_at_once_lose_nothing(images: Path, config: ExtractConfig) -> None:
    processes = [
        subprocess.Popen(command(images, config), stderr=subprocess.DEVNULL, env=os.environ)
        for _ in range(2)
    ]
    assert [p.wait(timeout=600) for p in processes] == [0, 0]
    after = extract(images, config)
    assert (after.report.computed, after.report.cached) == (0, 23)


def test_commits_are_bounded_by_bytes(config: ExtractConfig) -> None:
    [extractor] = [Extractor.from_request(r, config) for r in config.requests()]
    shards = pipeline._Shards(extractor, pipeline.ExtractionReport())
    width = extractor.specs[0].n_features
    assert shards.commit_rows == min(pipeline.COMMIT_ROWS, pipeline.COMMIT_BYTES // (4 * width))
    shards.close()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_a_gpu_embeds_as_the_cpu_does(images: Path, config: ExtractConfig) -> None:
    on_cpu = extract(images, config)
    everywhere = ",".join(f"cuda:{i}" for i in range(torch.cuda.device_count()))
    for device in ("cuda", everywhere):
        found = extract(images, config.model_copy(update={"device": device}))
        assert found.spec.fingerprint != on_cpu.spec.fingerprint
        np.testing.assert_allclose(found.X, on_cpu.X, rtol=1e-4, atol=1e-5)


def test_memory_does_not_grow_with_the_data_set(
    images: Path, config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels are held in one tray for each thread, however many images there are."""
    made: list[int] = []
    make = workers._Tray.__init__

    def counted(self: workers._Tray, size: int, like: np.ndarray) -> None:
        make(self, size, like)
        made.append(self.pixels.nbytes)

    monkeypatch.setattr(workers._Tray, "__init__", counted)
    extract(images, config.model_copy(update={"workers": 3}))
    assert 1 <= len(made) <= 3
    assert set(made) == {4 * 32 * 32 * 3}


def test_few_images_are_few_batches(
    images: Path, config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What eight threads are left with is joined, not padded eight times."""
    sizes: list[int] = []
    embed = torch_engine.TorchEngine.embed

    def counted(self: object, batch: np.ndarray) -> object:
        sizes.append(len(batch))
        return embed(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(torch_engine.TorchEngine, "embed", counted)
    extract(images, config.model_copy(update={"workers": 8, "limit": 10}))
    assert sum(sizes) == 10
    assert len(sizes) <= 3 + 1
