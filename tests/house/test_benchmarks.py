"""Benchmarks run anywhere: what a machine cannot run is named and left out."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from featx.engines import EngineChoice
from featx.errors import MissingExtraError, UsageError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a benchmark's module as it is when the script runs."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (BENCHMARKS / f"{name}.py").exists():
            del sys.modules[name]


def without_bf16(engine: str, device: str, precision: str) -> EngineChoice:
    """A processor that multiplies no bf16, and no OpenVINO."""
    if engine == "openvino":
        raise MissingExtraError("The engine openvino", "openvino")
    if precision == "bf16":
        raise UsageError("The CPU does not multiply bf16 natively.", hint="Use fp32.")
    return EngineChoice(engine, device, precision, 8, 1, "")


def test_engines_and_precisions_that_are_not_here_are_named_and_left_out(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("featx.engines.choose", without_bf16)
    assert bench("measuring").runnable() == [("torch", "fp32")]
    told = capsys.readouterr().err
    assert "Left out: torch bf16: The CPU does not multiply bf16 natively." in told
    assert "Left out: openvino fp32: The engine openvino needs the extra 'openvino'" in told


def test_the_extraction_benchmark_needs_no_bf16(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extract = bench("extract")

    def measure(code: str, *arguments: str) -> dict[str, Any]:
        if code in (extract.FEATX, extract.FORWARD):
            assert "bf16" not in arguments
            assert "openvino" not in arguments
        return {"elapsed_s": 1.0, "start_s": 1.0, "peak_mb": 1, "rerun_s": 0.5, "torch": True,
                "report": {}, "images_per_s": 2.0}  # fmt: skip

    monkeypatch.setattr(extract, "measure", measure)
    monkeypatch.setattr("featx.engines.choose", without_bf16)
    found = extract.Bench("resnet50", ["a.jpg", "b.jpg"], tmp_path, tmp_path).run(2)
    sides = [name for name in found["sides"] if name.startswith("featx")]
    assert sides == ["featx torch fp32"]
    assert "featx torch fp32" in extract.table("resnet50", found)


@pytest.mark.parametrize("name", ["audit", "coverage", "drift", "finetune_real", "memory",
                                  "numerics", "promises", "real", "report"])  # fmt: skip
def test_benchmarks_of_data_share_the_command_line_that_leaves_them_out(name: str) -> None:
    text = (BENCHMARKS / f"{name}.py").read_text("utf-8")
    assert "asked(" in text
    assert "required=True" not in text


def asked(measuring: Any, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--scratch", type=Path)
    old, sys.argv = sys.argv, ["audit.py", *words]
    try:
        found = measuring.asked(parser, needs=["data", "weights"], folders=["scratch"])
        assert isinstance(found, argparse.Namespace)
        return found
    finally:
        sys.argv = old


def test_the_shared_command_line(
    bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measuring = bench("measuring")
    with pytest.raises(SystemExit) as ended:
        asked(measuring, "--data", str(tmp_path / "nowhere"))
    assert ended.value.code == 0
    assert f"Left out: audit.py: {tmp_path / 'nowhere'} is not here" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        asked(measuring)
    assert ended.value.code == 2
    found = asked(measuring, "--quick", "--weights", str(tmp_path))
    assert (found.data / "clothing" / "train" / "hat").is_dir()
    assert (found.data / "malaria.csv").is_file()
    assert found.weights == tmp_path
    assert found.scratch.is_dir()
    kept = tmp_path / "results.json"
    measuring.keep(kept, {"a": 1}, quick=True)
    assert not kept.exists()
    measuring.keep(kept, {"a": 1}, quick=False)
    assert kept.exists()


def test_what_a_system_does_not_tell_is_nothing(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measuring = bench("measuring")

    def absent(*arguments: object, **options: object) -> str:
        raise FileNotFoundError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", absent)
        patch.setattr(Path, "write_text", absent)
        result, took = measuring.measured(lambda: 7)
        assert measuring.machine()["processor"]
    assert result == 7
    assert (took["memory_mb"], took["read_mb"]) == (0, 0)
    assert "no-such-package" not in measuring.versions("numpy", "no-such-package")


@pytest.mark.parametrize("name", ["fit_cost", "audit_scale"])
def test_a_quick_run_ends_well_and_writes_no_result(name: str) -> None:
    before = {path: path.read_bytes() for path in RESULTS}
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), "--quick"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| ")
    assert {path: path.read_bytes() for path in RESULTS} == before
