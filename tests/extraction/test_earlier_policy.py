"""Caches and models of the decoding policy before this one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from extraction_lab import extract
from PIL import Image

from featx.config import ExtractConfig
from featx.data.decode import DECODE_POLICY, EARLIER_POLICY
from featx.data.hashing import content_hash
from featx.data.reader import read_manifest
from featx.engines._torch import TorchEngine
from featx.extraction import Extractor, run_extractors
from featx.store import EmbeddingStore
from featx.types import ExtractorSpec


def before(spec: ExtractorSpec) -> ExtractorSpec:
    return ExtractorSpec({**spec.document, "decode": EARLIER_POLICY})


@pytest.fixture
def old_cache(images: Path, config: ExtractConfig, tmp_path: Path) -> ExtractorSpec:
    """A cache as featx wrote it before, with rows of files that it misread; marked by threes."""
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 50, 3), np.uint8))
    stream = io.BytesIO()
    picture.save(stream, "JPEG")
    (images / "a" / "cut.jpg").write_bytes(stream.getvalue()[:1500] + b"\xff\xd9")
    sixteen = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 200)
    sixteen.save(images / "a" / "deep.tif", tiffinfo={262: 0})  # 0 is white
    spec = Extractor.from_request(config.requests()[0], config).specs[0]
    contents = {path.read_bytes() for path in images.rglob("*.*")}
    hashes = np.frombuffer(b"".join(content_hash(data) for data in contents), np.uint8)
    rows = np.full((len(contents), spec.n_features), 3, np.float32)
    EmbeddingStore.open(Path(str(config.cache)), before(spec)).add(hashes.reshape(-1, 32), rows)
    return spec


def test_rows_of_files_read_rightly_are_taken_over_and_no_others(
    images: Path, config: ExtractConfig, old_cache: ExtractorSpec, monkeypatch: pytest.MonkeyPatch
):
    embedded: list[int] = []
    embed = TorchEngine.embed

    def counted(self: TorchEngine, pixels: np.ndarray) -> object:
        embedded.append(len(pixels))
        return embed(self, pixels)

    monkeypatch.setattr(TorchEngine, "embed", counted)
    found = extract(images, config)
    assert found.spec.fingerprint == old_cache.fingerprint != before(old_cache).fingerprint
    assert sum(embedded) == 1  # deep.tif
    reasons = {failure.id: failure.reason for failure in found.failures}
    assert "ends too early" in reasons["a/cut.jpg"]
    assert "not an image" in reasons["b/broken.png"]
    taken = {str(id): bool((row == 3).all()) for id, row in zip(found.ids, found.X, strict=True)}
    assert [id for id, same in taken.items() if not same] == ["a/deep.tif"]
    assert (found.report.computed, found.report.cached) == (1, 22)
    again = extract(images, config)
    assert (again.report.computed, again.report.cached) == (0, 24)  # the twin too


def test_a_damaged_old_cache_is_as_good_as_none(
    images: Path, config: ExtractConfig, old_cache: ExtractorSpec
):
    folder = Path(str(config.cache)) / before(old_cache).folder
    for shard in (folder / "shards").iterdir():
        shard.write_bytes(shard.read_bytes()[:-100])
    found = extract(images, config)
    assert found.report.computed == 23
    assert not (found.X == 3).any()


def test_a_model_of_the_earlier_policy_embeds_under_todays(
    images: Path, config: ExtractConfig, old_cache: ExtractorSpec
):
    [request] = config.requests()
    extractor = Extractor.from_spec(before(old_cache), request, config)
    [found] = run_extractors(read_manifest(str(images)), [extractor], config)
    assert found.spec.document["decode"] == DECODE_POLICY
    assert found.spec.fingerprint == old_cache.fingerprint
    assert found.report.quarantined == 3
