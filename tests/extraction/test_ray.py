"""Extraction on a Ray of two small machines: what comes out is what one machine gives."""

from __future__ import annotations

import collections
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction_lab import extract_embeddings

import featx.extraction.spread as spread
from featx.cli.main import main
from featx.clusters import CLUSTERS, find_cluster
from featx.clusters.ray import RaySession
from featx.config import ExtractConfig
from featx.data.reader import read_manifest
from featx.errors import ClusterError, DecodeError, MissingExtraError, StoreError, UsageError
from featx.extraction import Extraction, Extractor
from featx.extraction.chunks import Chunk, ChunkResult, ChunkWork, extract_chunk
from featx.store import EmbeddingStore

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
ENGINE = "openvino" if importlib.util.find_spec("openvino") else "torch"
COUNTS = ("images", "cached", "computed", "duplicates", "quarantined", "size_bytes")


@pytest.fixture(scope="module")
def machines() -> Iterator[str]:
    """The address of two Ray nodes with one CPU each, which this process has joined."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        cluster.add_node(**node)
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers lack tests/
        ray.init(address=cluster.address, log_to_driver=False, logging_level=40)
        yield cluster.address
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def config(config: ExtractConfig) -> ExtractConfig:
    """As elsewhere, but where possible without torch, which each worker takes seconds to import."""
    return config.model_copy(update={"engine": ENGINE})


@pytest.fixture
def on_ray(machines: str, config: ExtractConfig, tmp_path: Path) -> ExtractConfig:
    return config.model_copy(update={"cluster": "ray", "cache": str(tmp_path / "shared")})


def extract(images: Path, config: ExtractConfig) -> list[Extraction]:
    return extract_embeddings(read_manifest(str(images)), config)


def chunks_of(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(spread, "SMALLEST_CHUNK", rows)
    monkeypatch.setattr(spread, "CHUNK_ROWS", rows)


def assert_same(found: list[Extraction], expected: list[Extraction]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert (a.name, a.spec.fingerprint) == (b.name, b.spec.fingerprint)
        for field in ("hashes", "ok", "ids", "y", "X"):
            assert np.array_equal(getattr(a, field), getattr(b, field)), field
        assert a.failures == b.failures
        assert [getattr(a.report, c) for c in COUNTS] == [getattr(b.report, c) for c in COUNTS]


@pytest.mark.parametrize(("rows", "engine"), [(1, ENGINE), (7, "torch")])
def test_the_result_is_that_of_one_machine(
    images: Path,
    config: ExtractConfig,
    on_ray: ExtractConfig,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
    engine: str,
) -> None:
    chunks_of(monkeypatch, rows)
    config, on_ray = (c.model_copy(update={"engine": engine}) for c in (config, on_ray))
    expected = extract(images, config)
    assert expected[0].report.duplicates == 1
    assert_same(extract(images, on_ray), expected)
    [again] = extract(images, on_ray.model_copy(update={"cluster": None}))
    assert (again.report.computed, again.report.cached) == (0, 23)
    [folder] = Path(str(on_ray.cache)).iterdir()
    assert not list(folder.glob(".cluster*"))


def test_views_are_those_of_one_machine(
    images: Path,
    config: ExtractConfig,
    on_ray: ExtractConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chunks_of(monkeypatch, 4)
    for views in (1, 3):
        [expected] = extract(images, config.model_copy(update={"views": views}))
        [found] = extract(images, on_ray.model_copy(update={"views": views}))
        assert_same([found], [expected])
        assert np.array_equal(found.views, expected.views)
        assert (found.report.views, found.report.views_computed) == (
            expected.report.views,
            expected.report.views_computed,
        )


def test_a_second_run_computes_nothing(
    images: Path, config: ExtractConfig, on_ray: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks_of(monkeypatch, 4)
    extract(images, config)
    expected = extract(images, config)
    assert_same(extract(images, on_ray.model_copy(update={"cache": config.cache})), expected)
    assert expected[0].report.computed == 0


def test_several_backbones_and_outputs(
    images: Path, config: ExtractConfig, on_ray: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks_of(monkeypatch, 5)
    several = {
        "backbone": ["timm:test_resnet", "timm:test_efficientnet"],
        "pooling": ["avg", "max"],
        "separate": True,
    }
    expected = extract(images, config.model_copy(update=several))
    assert len(expected) == 4
    assert_same(extract(images, on_ray.model_copy(update=several)), expected)


def test_a_dry_run_counts_what_one_machine_counts(
    images: Path, config: ExtractConfig, machines: str, capfd: pytest.CaptureFixture[str]
) -> None:
    cache = images.parent / "nothing"
    flags = ["--backbone", config.backbone[0], "--no-pretrained", "--engine", "torch"]
    flags += ["--precision", "fp32", "--dry-run", "--json"]
    counts = []
    for where in ([], ["--cluster", "ray", "--address", machines]):
        with pytest.raises(SystemExit, match="0"):
            main(["extract", str(images), *flags, "--cache", str(cache), *where])
        report = json.loads(capfd.readouterr().out)[0]["report"]
        counts.append([report[c] for c in COUNTS])
    assert counts[0] == counts[1]
    assert not cache.exists()


def test_fail_on_error_names_the_first_of_all_chunks(
    images: Path, config: ExtractConfig, on_ray: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks_of(monkeypatch, 2)
    for name in ("a/13.png", "b/03.png", "b/20.png"):
        (images / name).write_bytes(b"broken")
    with pytest.raises(DecodeError) as expected:
        extract(images, config.model_copy(update={"on_error": "fail"}))
    with pytest.raises(DecodeError) as found:
        extract(images, on_ray.model_copy(update={"on_error": "fail"}))
    assert str(found.value) == str(expected.value)


class Killed(ChunkWork):
    """A worker that is killed by ``kill -9`` in the middle of one chunk, the first time."""

    def __call__(self, threads: int) -> Callable[[Chunk], ChunkResult]:
        work = super().__call__(threads)
        marker = self.cache / "killed"

        def killed(chunk: Chunk) -> ChunkResult:
            if chunk.start == 8 and not marker.exists():
                marker.touch()
                half = replace(chunk, paths=chunk.paths[:2])
                extract_chunk(half, self.extractors, threads=1, decode=True, fail=False)
                os.kill(os.getpid(), signal.SIGKILL)
            return work(chunk)

        return killed


def test_a_killed_worker_costs_its_unfinished_chunk(
    images: Path,
    config: ExtractConfig,
    on_ray: ExtractConfig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chunks_of(monkeypatch, 4)
    monkeypatch.setattr(spread, "ChunkWork", Killed)
    found = extract(images, on_ray)
    assert (Path(str(on_ray.cache)) / "killed").exists()
    assert "a Ray worker was lost; its unfinished work will be repeated" in capsys.readouterr().err
    assert_same(found, extract(images, config))
    store = EmbeddingStore.open(str(on_ray.cache), found[0].spec)
    assert len(store.unindexed()) == 1  # what the killed worker had written; gc takes it


def die(item: str) -> str:
    if item == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "wrong":
        raise StoreError("the disk is full", hint="make room")
    if item == "odd":
        raise ZeroDivisionError("by nothing")
    return item.upper()


def prepare(threads: int) -> Callable[[str], str]:
    return die


def test_work_that_kills_every_worker_ends_the_run(machines: str) -> None:
    with RaySession(ray).pool(prepare, gpus=False) as pool:
        results = pool.results(["a", "b", "poison", "c"])
        with pytest.raises(ClusterError, match=r"3 Ray workers in a row died at poison"):
            collections.deque(results, maxlen=0)


def test_what_a_worker_raises_is_raised_here(machines: str) -> None:
    with RaySession(ray).pool(prepare, gpus=False) as pool:
        with pytest.raises(StoreError, match="the disk is full\nmake room") as caught:
            list(pool.results(["wrong"]))
        assert caught.value.hint == "make room"
        with pytest.raises(ClusterError, match=r"A Ray worker failed: .*by nothing"):
            list(pool.results(["odd"]))


def test_no_gpu_is_said(machines: str) -> None:
    with pytest.raises(ClusterError, match="No machine of the Ray cluster has a GPU"):
        RaySession(ray).pool(prepare, gpus=True)


def test_a_worker_that_would_give_other_embeddings_refuses(
    images: Path, on_ray: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbuilt = Extractor.unbuilt

    def other(self: Extractor, samples: Any) -> Extractor:
        sent = unbuilt(self, samples)
        sent.request = replace(sent.request, size_px=48)
        return sent

    monkeypatch.setattr(Extractor, "unbuilt", other)
    with pytest.raises(ClusterError, match=r"would give other embeddings .*preprocess: .*32.*48"):
        extract(images, on_ray.model_copy(update={"engine": "torch"}))


def test_a_machine_must_see_images_and_cache(config: ExtractConfig, tmp_path: Path) -> None:
    work = ChunkWork([], tmp_path, None, True, False, seen=[str(tmp_path / "gone")])
    with pytest.raises(ClusterError, match=r"does not see '.*gone'.\nImages and cache must be on"):
        work(1)


def test_embeddings_are_not_kept_in_memory(images: Path, on_ray: ExtractConfig) -> None:
    (images.parent / "file").write_text("not a folder")
    blocked = on_ray.model_copy(update={"cache": str(images.parent / "file" / "cache")})
    with pytest.raises((StoreError, OSError)):
        extract_embeddings(read_manifest(str(images)), blocked, allow_memory=True)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingExtraError, match=r"pip install 'featx\[ray\]'"),
        CLUSTERS.get("ray").connect(None),
    ):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "host:port"])
def test_an_address_where_nothing_is(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with (
        pytest.raises(ClusterError, match=f"featx cannot use Ray at '{address}'"),
        CLUSTERS.get("ray").connect(address),
    ):
        pass


def test_an_address_where_something_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def answer(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.recv(99)
            client.sendall(b"HTTP/1.1 400 No")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=[server])
        thread.start()
        with (
            pytest.raises(ClusterError, match="another service"),
            CLUSTERS.get("ray").connect(f"127.0.0.1:{server.getsockname()[1]}"),
        ):
            pass
        thread.join()


def test_an_address_needs_a_cluster(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="Add --cluster ray"):
        find_cluster(None, "auto")
    assert find_cluster(None, None) is None


SLOW = """
import dataclasses, sys, time
import featx.extraction.spread as spread
class Slow(spread.ChunkWork):
    def __call__(self, threads):
        work = super().__call__(threads)
        def slow(chunk):
            time.sleep(0.2)
            return work(chunk)
        return slow
spread.ChunkWork, spread.SMALLEST_CHUNK, spread.CHUNK_ROWS = Slow, 1, 1
from featx.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_was_indexed_stays_when_the_run_is_ended(
    images: Path, config: ExtractConfig, on_ray: ExtractConfig, machines: str, how: signal.Signals
) -> None:
    flags = ["--backbone", config.backbone[0], "--no-pretrained", "--size", "32"]
    flags += ["--engine", ENGINE, "--device", "cpu", "--precision", "fp32", "--batch-size", "4"]
    where = ["--cache", str(on_ray.cache), "--cluster", "ray", "--address", machines]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "extract", str(images), *flags, *where],
        stderr=subprocess.PIPE,
        text=True,
    )
    spec = Extractor.from_request(config.requests()[0], config).specs[0]
    deadline = time.monotonic() + 600  # longer than a machine stops for
    while time.monotonic() < deadline and process.poll() is None:
        if len(EmbeddingStore.open(str(on_ray.cache), spec)) >= 3:
            break
        time.sleep(0.05)
    process.send_signal(how)
    _, err = process.communicate(timeout=600)
    assert process.returncode == (-how if how == signal.SIGKILL else 130), err
    [resumed] = extract(images, on_ray.model_copy(update={"cluster": None}))
    assert 3 <= resumed.report.cached < 23
    [whole] = extract(images, config)
    assert np.array_equal(resumed.X, whole.X)
    assert [asdict(f) for f in resumed.failures] == [asdict(f) for f in whole.failures]
