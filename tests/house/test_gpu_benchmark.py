"""benchmarks/gpu.py runs without a GPU too, so that it is proven before there is one."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from featx import console
from featx.data.decode import decode

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a benchmark's module as it is when the script runs."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(console, "warn", lambda text: None)  # of random weights
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (BENCHMARKS / f"{name}.py").exists():
            del sys.modules[name]


@pytest.fixture
def said(bench: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a side in this process and gives what it said."""
    sides = bench("gpu_sides")
    bench("gpu_other_sides")

    def run(name: str, **options: Any) -> dict[str, Any]:
        capsys.readouterr()
        sides.SIDES[name](**options)
        told = {}
        for line in capsys.readouterr().out.splitlines():
            told |= json.loads(line)
        return told

    return run


@pytest.fixture
def files(bench: Any, tmp_path: Path) -> str:
    """A manifest of six small files, made of two photographs."""
    source = tmp_path / "source"
    source.mkdir()
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(source / f"{i}.jpg")
    manifest, _ = bench("gpu_images").lay_out(source, tmp_path / "data", 6)
    return str(manifest)


NETWORK = {"network": "timm:test_resnet", "device": "cpu"}


def test_the_script_runs_on_the_cpu_within_its_time(tmp_path: Path) -> None:
    results = tmp_path / "gpu.json"
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--device", "cpu", "--minutes", "0.2"]
    done = subprocess.run(
        [*command, "--results", str(results), "--scratch", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(results.read_text())
    steps = document["steps"]
    assert {"torch", "timm", "featx"} <= document["versions"].keys()
    assert document["images"].startswith("12 files of 12 photographs (made from noise)")
    assert all(step["ended"].startswith(("done", "cut off", "left out")) for step in steps.values())
    assert [p.name for p in tmp_path.iterdir()] == ["gpu.json"]  # nothing is left behind
    for name, step in steps.items():
        if step["ended"].startswith("left out"):
            assert f"Left out: {name}" in done.stderr


def test_without_a_gpu_it_says_so_before_it_starts() -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu.py"), "--images", "nowhere.tar"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "- CUDA: torch" in done.stderr
    assert "- the images nowhere.tar: python benchmarks/gpu.py pack FOLDER" in done.stderr


def test_what_is_missing_is_named(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = bench("gpu")
    assert gpu.missing("cpu", tmp_path, None) == []
    monkeypatch.setattr(gpu, "versions", lambda name: {} if name == "timm" else {name: "1"})
    monkeypatch.setattr(gpu.shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 30))
    package, disk, *_ = gpu.missing("cuda", tmp_path, None)
    assert package.startswith("the package timm: pip install 'timm>=")
    assert disk.startswith("disk: 1.0 GiB free")


def test_copies_are_other_contents_of_the_same_pixels(files: str) -> None:
    contents = [p.read_bytes() for p in sorted((Path(files).parent / "images").iterdir())]
    assert len(set(contents)) == 6
    pixels = [np.asarray(decode(data).image) for data in contents]
    np.testing.assert_array_equal(pixels[0], pixels[2])
    assert not np.array_equal(pixels[0], pixels[1])


def test_a_pack_is_small_and_can_be_laid_out(bench: Any, tmp_path: Path) -> None:
    images = bench("gpu_images")
    folder = tmp_path / "photographs" / "a"
    folder.mkdir(parents=True)
    for i in range(3):
        Image.effect_noise((1200, 900), 40 + i).save(folder / f"{i}.jpg")
    assert images.pack(folder.parent, tmp_path / "pack.tar", 2) == 2
    with tarfile.open(tmp_path / "pack.tar") as archive:
        member = archive.extractfile("00000.jpg")
        assert member is not None
        assert Image.open(io.BytesIO(member.read())).size == (533, 400)
    manifest, told = images.lay_out(tmp_path / "pack.tar", tmp_path / "data", 5)
    assert told.startswith("5 files of 2 photographs (pack.tar)")
    assert len(manifest.read_text().split()) == 6
    with pytest.raises(SystemExit, match="There is no JPEG file below"):
        images.pack(tmp_path / "data" / "nothing", tmp_path / "other.tar")


def test_featx_and_the_plain_loop(said: Any, files: str, tmp_path: Path) -> None:
    common = {"manifest": files, "device": "cpu"}
    ours = said(
        "featx",
        network="timm:test_resnet",
        scratch=str(tmp_path),
        seconds=0.01,
        precisions=["fp32", "fp16"],
        **common,
    )
    assert ours["fp32"]["report"]["computed"] == 6
    assert ours["fp32"]["of_forward_only"] > 0
    assert "fp16" in ours["fp16"]["refused"]  # the CPU does not do it: the others go on
    plain = said(
        "plain", network="test_resnet", precisions=["fp32"], batch_size=4, workers=0, **common
    )
    assert plain["fp32"]["per_s"] > 0


def test_a_killed_run_goes_on_bit_for_bit(
    said: Any, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.kill", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr("featx.extraction.pipeline.COMMIT_ROWS", 2)
    monkeypatch.setattr("featx.extraction.pipeline._Shards._add", _add())  # put back at the end
    common = {"manifest": files, "precision": "fp32", "cache": str(tmp_path / "cache"), **NETWORK}
    with pytest.raises(KeyboardInterrupt):
        said("killed", at=2, **common)
    monkeypatch.undo()
    found = said("resumed", whole=str(tmp_path / "whole"), **common)
    assert found["bit_for_bit_equal"]
    assert found["there"] + found["computed_after"] == 6


def _add() -> Any:
    from featx.extraction.pipeline import _Shards

    return _Shards._add


def test_the_other_sides(
    bench: Any, said: Any, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = bench("gpu_sides")
    monkeypatch.setattr(sides, "ProcessPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr("featx.engines.torch._STREAMS_PER_GPU", 2)  # put back at the end
    found = said("decode", network="timm:test_resnet", manifest=files, workers=1)
    assert found["threads_per_s"] > 0
    found = said("search", device="cpu", images=60, features=4, points=2)
    assert found["score"] > 0
    common = {"manifest": files, "precision": "fp32", **NETWORK}
    found = said(
        "layout", scratch=str(tmp_path), seconds=0.01, streams=[1], batch_sizes=[4], **common
    )
    assert found["1 streams, batches of 4"]["per_s"] > 0
    ready = str(tmp_path / "ready-0")
    found = said("beside", cache=str(tmp_path / "beside"), ready=ready, others=1, **common)
    assert found["images"] == 6
    found = said("graphs", network="test_resnet", device="cpu", precision="fp32", seconds=0.01,
                 batch_size=2, compiled=False)  # fmt: skip
    assert found["eager"]["per_s"] > 0
    found = said("finetune", precisions=["fp32"], images=4, size=32, **NETWORK)
    assert found["fp32"].keys() == set(bench("finetune").SIDES)


def steps_of(bench: Any, monkeypatch: pytest.MonkeyPatch, **runs: Any) -> Any:
    """gpu_steps with steps of these names, ten seconds each at a guess."""
    steps = bench("gpu_steps")
    made = tuple(steps.Step(name, 10, run) for name, run in runs.items())
    monkeypatch.setattr(steps, "STEPS", made)
    return steps


def place_of(steps: Any, tmp_path: Path) -> Any:
    return steps.Place("cuda", tmp_path / "x.csv", 2, tmp_path, 1, 0.1)


def test_steps_run_in_order_and_each_is_written(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(runner: Any, place: Any) -> None:
        runner.figures["so far"] = 1
        raise RuntimeError("no such kernel")

    def works(runner: Any, place: Any) -> None:
        runner.figures["rate"] = 2

    steps = steps_of(bench, monkeypatch, first=fails, second=works, third=works)
    found: dict[str, Any] = {"third": {"ended": "done", "rate": 7}}
    kept: list[str] = []
    place = place_of(steps, tmp_path)
    end = time.monotonic() + 1000
    steps.run_steps(place, found, end, lambda: kept.append(json.dumps(found)))
    assert len(kept) == 2
    assert found["first"]["ended"] == "failed: no such kernel"
    assert found["first"]["so far"] == 1
    assert found["second"] == found["second"] | {"ended": "done", "estimate_s": 10, "rate": 2}
    assert found["third"] == {"ended": "done", "rate": 7}  # from an earlier call
    steps.run_steps(place, found, end, lambda: None, ["first"])
    capsys.readouterr()
    late: dict[str, Any] = {}
    steps.run_steps(place, late, time.monotonic() + 5, lambda: None)
    assert all(step["ended"].startswith("left out: 10 s do not fit") for step in late.values())
    assert "Left out: first" in capsys.readouterr().err


def test_what_a_side_said_before_the_time_was_over_is_kept(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The side is a real process, which goes on for ever."""
    script = tmp_path / "gpu_sides.py"
    script.write_text(
        "import os, sys, time\n"
        "print('{\"per_s\": 5}', flush=True)\n"
        "open(sys.argv[2].strip('{}\"'), 'w').close()\n"
        "time.sleep(1000)\n"
    )
    runners = bench("gpu_runner")
    monkeypatch.setattr(runners, "HERE", tmp_path)
    monkeypatch.setattr(runners.json, "dumps", lambda options: str(tmp_path / "spoke"))
    runner = runners.Runner({}, time.monotonic() + 1000)
    with runner.begun("endless") as process:
        while not (tmp_path / "spoke").exists():
            time.sleep(0.01)
        runner.end = time.monotonic()
        with pytest.raises(runners.CutOff, match="endless"):
            runner.ended(process, "endless", "featx")
    assert runner.figures == {"featx": {"per_s": 5}}
    assert process.returncode is not None


def test_a_side_that_fails_is_an_error_with_its_last_line(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gpu_sides.py").write_text("raise SystemExit('no kernel image')")
    runners = bench("gpu_runner")
    monkeypatch.setattr(runners, "HERE", tmp_path)
    runner = runners.Runner({}, time.monotonic() + 1000)
    with pytest.raises(RuntimeError, match=r"decode failed \(1\): no kernel image"):
        runner.side("decode")
    runner.side("decode", killed=True)  # this one was to be killed


def test_results_go_on_only_on_the_same_machine_with_the_same_versions(
    bench: Any, tmp_path: Path
) -> None:
    gpu = bench("gpu")
    document = {"machine": {"gpu": "A"}, "versions": {}, "images": "", "steps": {"decode": {}}}
    gpu.write(tmp_path / "new" / "gpu.json", document)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["gpu.json"]
    path = tmp_path / "new" / "gpu.json"
    assert gpu.earlier(path, document) == {"decode": {}}
    assert gpu.earlier(path, document | {"machine": {"gpu": "B"}}) == {}
    path.write_text("{")
    assert gpu.earlier(path, document) == {}
    assert gpu.earlier(tmp_path / "none.json", document) == {}


def test_the_table_has_what_was_measured(bench: Any) -> None:
    row = {"per_s": 90, "forward_only_per_s": 100, "of_forward_only": 0.9}
    step = {
        "featx": {
            "bf16": row,
            "fp16": {"refused": ""},
            "cosine of bf16 to fp32": {"least": 0.9999},
        },
        "times the plain loop": {"bf16": 2.5},
    }
    text = bench("gpu").table({"steps": {"extraction: resnet50": step, "decode": {}}})
    assert text.splitlines()[2:] == ["| resnet50 | bf16 | 100 | 90 | 0.9 | 2.5 | 0.9999 |"]
