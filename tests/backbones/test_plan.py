"""What is kept of backbones and networks, and what happens when an engine is not the reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from featx import console
from featx.backbones import _kept, load_backbone, open_backbone
from featx.engines import Agreement, EngineChoice, _plan, build_engine, choose, plan_engine
from featx.engines import torch as torch_plugin
from featx.engines._torch import TorchEngine
from featx.errors import BackboneError, UsageError
from featx.types import BackboneRequest

REQUEST = BackboneRequest("timm:test_resnet", pretrained=False, size_px=32)
pytest.importorskip("openvino", reason="openvino is not installed")


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of networks of its own, and no warnings about random weights."""
    monkeypatch.setenv("FEATX_NETWORKS", str(tmp_path / "networks"))
    monkeypatch.setattr(console, "warn", lambda text: None)
    return tmp_path / "networks"


@pytest.fixture
def no_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the backbone was loaded")

    monkeypatch.setattr(_kept, "load_backbone", refuse)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    module = load_backbone(REQUEST).network.module
    save_file(module.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_a_backbone_is_known_the_second_time(request: pytest.FixtureRequest) -> None:
    first = open_backbone(REQUEST)
    request.getfixturevalue("no_loading")
    again = open_backbone(REQUEST)
    assert (again.name, again.preprocess, again.outputs) == (
        first.name,
        first.preprocess,
        first.outputs,
    )
    assert again.pretrained is False


@pytest.mark.parametrize(
    "other",
    [{"size_px": 64}, {"crop": 0.5}, {"layers": ("layer2",)}, {"decode": "scaled"}],
    ids=str,
)
def test_another_request_is_another_backbone(other: dict[str, object]) -> None:
    first = open_backbone(REQUEST)
    second = open_backbone(replace(REQUEST, **other))
    assert first.outputs[0].document != second.outputs[0].document


def test_changed_weights_are_noticed(weights: Path) -> None:
    request = BackboneRequest("timm:test_resnet", weights=str(weights), size_px=32)
    first = open_backbone(request)
    state = {
        k: v + 1 if v.is_floating_point() else v for k, v in first.network.state_dict().items()
    }
    before = weights.stat()
    save_file({k.removeprefix("module."): v for k, v in state.items()}, weights)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))  # the size is the same too
    second = open_backbone(request)
    key = "weights_sha256"
    assert first.outputs[0].document[key] != second.outputs[0].document[key]


def test_weights_that_change_while_a_run_is_going_on(weights: Path) -> None:
    request = BackboneRequest("timm:test_resnet", weights=str(weights), size_px=32)
    open_backbone(request)
    known = open_backbone(request)
    state = load_backbone(REQUEST).network.module.state_dict()
    save_file({k: v * 2 if v.is_floating_point() else v for k, v in state.items()}, weights)
    with pytest.raises(BackboneError, match="have changed since this run began"):
        _ = known.network


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"files": [], "name": 3}', b"\xff"])
def test_a_damaged_record_is_made_again(kept: Path, damage: bytes) -> None:
    first = open_backbone(REQUEST)
    [record] = (kept / "backbones").iterdir()
    record.write_bytes(damage)
    assert open_backbone(REQUEST).outputs == first.outputs
    assert json.loads(record.read_bytes())[1]["name"] == first.name


def test_where_nothing_can_be_kept_everything_still_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FEATX_NETWORKS", str(tmp_path / "file" / "networks"))
    backbone = open_backbone(REQUEST)
    engine = plan_engine("openvino", backbone, samples=lambda: pixels(4, 32)).engine
    assert engine.embed(pixels(3, 32))[0].shape == (3, backbone.outputs[0].n_features)


def test_a_kept_network_is_the_converted_one(kept: Path, pixels, no_conversion_after) -> None:
    images = pixels(5, 32)
    (first,) = build_engine("openvino", open_backbone(REQUEST), precision="fp32").embed(images)
    no_conversion_after()
    (again,) = build_engine("openvino", open_backbone(REQUEST), precision="fp32").embed(images)
    np.testing.assert_array_equal(first, again)


@pytest.fixture
def no_conversion_after(monkeypatch: pytest.MonkeyPatch):
    def forbid() -> None:
        monkeypatch.setattr(
            "featx.engines._network._convert", lambda *_: pytest.fail("it was converted again")
        )

    return forbid


@pytest.mark.parametrize("file", ["network.xml", "network.bin"])
@pytest.mark.parametrize("damage", ["cut", "altered", "gone"])
def test_a_damaged_network_is_converted_again(kept: Path, pixels, file: str, damage: str) -> None:
    images = pixels(5, 32)
    (first,) = build_engine("openvino", open_backbone(REQUEST), precision="fp32").embed(images)
    [path] = kept.rglob(file)
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    (again,) = build_engine("openvino", open_backbone(REQUEST), precision="fp32").embed(images)
    np.testing.assert_array_equal(first, again)


def test_an_engine_that_is_not_the_reference_is_not_used(
    pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "warn", said.append)
    backbone = open_backbone(REQUEST)
    monkeypatch.setattr(_plan, "measure_agreement", lambda *_: Agreement(8, 0.5, 1.0))
    plan = plan_engine("openvino", backbone, samples=lambda: pixels(8, 32))
    assert plan.specs[0].document["numerics"] == {
        "engine": "torch",
        "device": "cpu",
        "precision": "fp32",
    }
    assert "cosine to torch fp32 at least 0.500000" in said[-1]
    assert "Torch in fp32 runs it instead" in said[-1]
    # What was found is kept: no image is asked for again.
    again = plan_engine("openvino", backbone, samples=lambda: pytest.fail("asked again"))
    assert again.choice.is_reference


def test_the_check_is_done_once(pixels) -> None:
    asked: list[int] = []

    def samples() -> np.ndarray:
        asked.append(1)
        return pixels(8, 32)

    first = plan_engine("openvino", open_backbone(REQUEST), samples=samples)
    second = plan_engine("openvino", open_backbone(REQUEST), samples=samples)
    assert (len(asked), first.specs) == (1, second.specs)
    assert first.choice.engine == "openvino"


def test_no_image_to_check_on_is_no_check(pixels) -> None:
    backbone = open_backbone(REQUEST)
    plan = plan_engine("openvino", backbone, samples=lambda: pixels(8, 32)[:0])
    assert plan.choice.engine == "openvino"
    assert plan.agreement is None
    assert plan._engine is None  # nor is a network converted for it


def test_what_cannot_be_converted(pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, it is an error; chosen by featx, the reference runs it."""

    class Odd(torch.nn.Module):
        def forward(self, x):
            return (torch.special.erfcx(x.mean((2, 3))),)

    backbone = replace(open_backbone(REQUEST), load=Odd)
    with pytest.raises(BackboneError, match=r"OpenVINO cannot .*timm:test_resnet"):
        plan_engine("openvino", backbone, samples=lambda: pixels(8, 32))
    chosen = iter([choose("openvino", "cpu", "fp32"), choose("torch", "cpu", "fp32")])
    monkeypatch.setattr(_plan, "choose", lambda *_: next(chosen))
    plan = plan_engine("auto", backbone, samples=lambda: pixels(8, 32))
    assert plan.choice.is_reference
    assert plan.engine.embed(pixels(2, 32))[0].shape == (2, 3)


def test_auto_is_decided_by_the_processor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featx.engines._choice.may_have_gpu", lambda: False)
    for native, precision in ((["FP32", "BF16"], "bf16"), (["FP32"], "fp32")):
        monkeypatch.setattr("featx.engines.openvino._known", native)
        choice = choose()
        assert (choice.engine, choice.device, choice.precision) == ("openvino", "cpu", precision)
        assert "bf16 natively" in choice.why
    with pytest.raises(UsageError, match="needs a processor that supports it"):
        choose("openvino", "cpu", "bf16")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert choose().engine == "torch"


def test_several_gpus_each_get_a_copy(pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as two_gpus:
        two_gpus.setattr(torch.cuda, "is_available", lambda: True)
        two_gpus.setattr(torch.cuda, "device_count", lambda: 2)
        two_gpus.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
        memory = SimpleNamespace(total_memory=24 * 2**30)
        two_gpus.setattr(torch.cuda, "get_device_properties", lambda device: memory)
        choice = torch_plugin.PLUGIN.choose("cuda:0,cuda:1", "auto")
        assert (choice.precision, choice.streams) == ("bf16", 4)
        assert choice.numerics == {"engine": "torch", "device": "cuda", "precision": "bf16"}
        for device in ("cuda:0,cuda:0", "cuda:0,cpu"):
            with pytest.raises(UsageError, match="only different GPUs"):
                torch_plugin.choose_device(device)
    # The same machinery on two copies of the CPU.
    two = EngineChoice("torch", "cpu:0,cpu:0", "fp32", 4, 4, "")
    backbone = load_backbone(REQUEST)
    engine = TorchEngine(backbone, two)
    copies = [engine._free.get() for _ in range(4)]
    assert len({id(copy.replica.network) for copy in copies}) == 2
    for copy in copies:
        engine._free.put(copy)
    images = pixels(11, 32)
    one = build_engine("torch", load_backbone(REQUEST), precision="fp32", batch_size=4)
    for _ in range(4):
        np.testing.assert_array_equal(engine.embed(images)[0], one.embed(images)[0])


def test_rounding_weights_once_is_what_autocast_does(pixels) -> None:
    backbone = load_backbone(REQUEST)
    engine = build_engine("torch", backbone, device="cpu", precision="bf16", batch_size=4)
    images = pixels(4, 32)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1)
        for v in (backbone.preprocess.mean, backbone.preprocess.std)
    )
    network = backbone.network.to(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        (expected,) = network(x * (1 / (255 * std)) - mean / std)
    np.testing.assert_array_equal(engine.embed(images)[0], expected.float().numpy())


PROBE = """
import atexit, json, sys
atexit.register(lambda: json.dump([k for k, m in sys.modules.items() if m], open("modules", "w")))
from featx.cli.main import main
main(sys.argv[1:])
"""


def test_the_second_run_imports_no_torch_and_no_telemetry(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for i in range(10):
            pixels = rng.integers(0, 256, (20, 30, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    flags = ["--backbone", REQUEST.name, "--no-pretrained", "--size", "32", "--cache", "cache"]
    flags += ["--engine", "openvino", "--json"]
    computed, modules = [], []
    for folder in ("a", "b"):
        result = subprocess.run(
            [sys.executable, "-c", PROBE, "extract", folder, *flags],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        computed.append(json.loads(result.stdout)[0]["report"]["computed"])
        modules.append(set(json.loads((tmp_path / "modules").read_text())))
    assert computed == [10, 10]
    assert "torch" in modules[0]
    assert not modules[1] & {"torch", "torchvision", "timm", "sklearn"}
    assert not any(name.startswith("openvino_telemetry") for name in modules[0] | modules[1])
