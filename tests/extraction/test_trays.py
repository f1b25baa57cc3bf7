"""Threads that fill one batch together, as they do in front of a GPU."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featx.config import DatasetConfig, ExtractConfig
from featx.data.reader import read_manifest
from featx.extraction import Extractor, run_extractors
from featx.extraction.reading import Input
from featx.extraction.workers import _Shelf
from featx.types import ExtractorSpec


def given(i: int) -> Input:
    name = i.to_bytes(32, "big")
    return Input(0, name, np.full((4, 4, 3), i % 251, np.uint8), name[-16:])


def test_every_image_is_in_one_full_tray_or_in_the_open_one() -> None:
    shelf, n, size = _Shelf(7), 3000, 7

    def put(i: int) -> list[tuple[int, int]]:
        tray = shelf.put(given(i))
        if tray is None:
            return []
        hashes, pixels = (part.copy() for part in tray.content())
        assert len(hashes) == size
        shelf.take_back(tray)
        return rows(hashes, pixels)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = [row for part in pool.map(put, range(n)) for row in part]
    finally:
        sys.setswitchinterval(before)
    assert len(found) == n // size * size
    assert shelf.open is not None
    found += rows(*shelf.open.content())
    assert sorted(found) == [(i, i % 251) for i in range(n)]
    assert len(shelf._spare) <= 8  # trays are used again


def rows(hashes: np.ndarray, pixels: np.ndarray) -> list[tuple[int, int]]:
    """Which image each row's name says it is, and which its pixels say."""
    assert (pixels == pixels[:, :1, :1, :1]).all()
    names = [int.from_bytes(name[:32].tobytes(), "big") for name in hashes]
    return list(zip(names, pixels[:, 0, 0, 0].tolist(), strict=True))


@pytest.mark.parametrize("workers", [1, 3])
def test_shared_batches_give_the_same_embeddings(
    images: Path, config: ExtractConfig, tmp_path: Path, workers: int
) -> None:
    manifest = read_manifest(DatasetConfig(dataset=str(images)))
    found = []
    for device in ("cpu", "cuda"):
        cache = str(tmp_path / f"cache-{device}")
        own = config.model_copy(update={"cache": cache, "workers": workers, "device": "cpu"})
        [request] = own.requests()
        extractor = Extractor.from_request(request, own, manifest.paths)
        extractor.start()
        # Only the threads are told of a GPU: the engine is there already.
        extractor.plan.choice = replace(extractor.plan.choice, device=device)
        found += run_extractors(manifest, [extractor], own)
    np.testing.assert_array_equal(found[0].X, found[1].X)
    assert found[0].report.computed == found[1].report.computed > 4


def test_threads_that_wait_for_a_gpu_are_no_loss_of_cores(config: ExtractConfig) -> None:
    [request] = config.requests()
    extractor = Extractor.from_request(request, config.model_copy(update={"device": "cpu"}))
    assert extractor.waiting_threads == 0
    document = extractor.specs[0].document
    numerics = {**document["numerics"], "device": "cuda"}
    spec = ExtractorSpec({**document, "numerics": numerics})
    assert Extractor.from_spec(spec, request, config).waiting_threads == 2
