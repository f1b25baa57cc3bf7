"""Weights files: what is tolerated, what is refused, and that nothing in them is executed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from featx.backbones import load_backbone
from featx.backbones._files import read_weights
from featx.backbones._weights import digest
from featx.errors import BackboneError, WeightsNotFoundError
from featx.types import BackboneRequest

NAMES = ["timm:test_resnet", "torchvision:squeezenet1_1"]


@pytest.fixture(scope="module")
def states() -> dict[str, dict[str, torch.Tensor]]:
    """Weights of the two small networks, other than featx's own random ones."""
    import timm
    import torchvision

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(7)
        modules = (timm.create_model("test_resnet"), torchvision.models.squeezenet1_1(weights=None))
    return {n: m.state_dict() for n, m in zip(NAMES, modules, strict=True)}


def embed(name: str, path: Path) -> torch.Tensor:
    backbone = load_backbone(BackboneRequest(name, weights=str(path), size_px=64))
    assert backbone.pretrained
    with torch.inference_mode():
        return backbone.network(torch.ones(1, 3, 64, 64))[0]


def sha(name: str, path: Path) -> str:
    backbone = load_backbone(BackboneRequest(name, weights=str(path), size_px=64))
    return backbone.outputs[0].document["weights_sha256"]


@pytest.mark.parametrize("name", NAMES)
def test_every_way_of_saving_gives_the_same_network(name, states, tmp_path):
    state = states[name]
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pt")
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "c.pth")
    torch.save({"model": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "d.pth")
    counters = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    save_file(counters, tmp_path / "e.safetensors")
    paths = sorted(tmp_path.iterdir())
    first = embed(name, paths[0])
    for path in paths[1:]:
        torch.testing.assert_close(embed(name, path), first, rtol=0, atol=0)
        assert sha(name, path) == sha(name, paths[0])


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_really_in_it(name, states, tmp_path):
    save_file(states[name], tmp_path / "a.safetensors")
    backbone = load_backbone(BackboneRequest(name, weights=str(tmp_path / "a.safetensors")))
    loaded = backbone.network.module.state_dict()
    for key, tensor in states[name].items():
        assert torch.equal(loaded[key], tensor), key
    assert not any(p.requires_grad for p in backbone.network.parameters())
    assert not backbone.network.training


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_files_are_widened(name, states, tmp_path):
    half = {k: v.half() if v.is_floating_point() else v for k, v in states[name].items()}
    save_file(half, tmp_path / "half.safetensors")
    assert embed(name, tmp_path / "half.safetensors").dtype == torch.float32


@pytest.mark.parametrize(("name", "head"), [(NAMES[0], "fc"), (NAMES[1], "classifier.1")])
def test_another_classifier_or_none_is_tolerated(name, head, states, tmp_path):
    state = states[name]
    save_file(state, tmp_path / "whole.safetensors")
    seven = {k: v[:7].contiguous() if k.startswith(head) else v for k, v in state.items()}
    save_file(seven, tmp_path / "seven.safetensors")
    bare = {k: v for k, v in state.items() if not k.startswith(head)}
    save_file(bare, tmp_path / "bare.safetensors")
    expected = embed(name, tmp_path / "whole.safetensors")
    for other in ("seven", "bare"):
        torch.testing.assert_close(embed(name, tmp_path / f"{other}.safetensors"), expected)
    logits = load_backbone(
        BackboneRequest(name, weights=str(tmp_path / "seven.safetensors"), layers=(head,))
    )
    assert logits.outputs[0].n_features == 7
    with pytest.raises(BackboneError, match=rf"Layer '{head}' .* has no classifier"):
        load_backbone(
            BackboneRequest(name, weights=str(tmp_path / "bare.safetensors"), layers=(head,))
        )


@pytest.mark.parametrize("name", NAMES)
def test_any_other_difference_is_an_error_that_names_it(name, states, tmp_path):
    state = dict(states[name])
    first, second = [k for k in state if k.endswith("weight") and state[k].ndim == 4][:2]
    state["stranger.weight"] = torch.zeros(3)
    state[second] = torch.zeros(2, 2, 1, 1)
    del state[first]
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(BackboneError) as caught:
        embed(name, tmp_path / "odd.safetensors")
    text = str(caught.value)
    assert f"1 missing: {first}" in text
    assert "1 unexpected: stranger.weight" in text
    assert f"{second} (file (2, 2, 1, 1)" in text
    assert "odd.safetensors" in text


def test_another_architecture_is_refused_in_a_few_lines(states, tmp_path):
    save_file(states[NAMES[1]], tmp_path / "squeeze.safetensors")
    with pytest.raises(BackboneError, match="does not fit timm:test_resnet") as caught:
        embed(NAMES[0], tmp_path / "squeeze.safetensors")
    assert len(str(caught.value)) < 1500


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("ending", [".pt", ".pth", ".bin"])
@pytest.mark.parametrize("way", ["torch", "legacy", "pickle"])
def test_nothing_in_a_file_is_executed(ending, way, tmp_path):
    marker = tmp_path / "executed"
    path = tmp_path / f"evil{ending}"
    bomb = {"weight": torch.zeros(2), "run": Payload(marker)}
    if way == "pickle":
        path.write_bytes(pickle.dumps(Payload(marker)))
    else:
        torch.save(bomb, path, _use_new_zipfile_serialization=way == "torch")
    with pytest.raises(BackboneError, match=r"holds more than tensors|is broken"):
        read_weights(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Payload(marker)))  # noqa: S301 - the payload works where it is let
    assert marker.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"", r"is empty \(0 bytes\)"),
        ("a.safetensors", b"\xff" * 64, "not a weights file: it begins with the bytes ff ff"),
        ("a.pth", b"", r"is empty \(0 bytes\)"),
        ("a.pt", b"PK\x03\x04 not a zip", "is cut short or damaged"),
        ("a.onnx", b"x", "is a text, not weights; it begins 'x'"),
    ],
)
def test_broken_files_are_named(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=message) as caught:
        read_weights(path)
    assert name in str(caught.value)


def test_a_truncated_file_is_broken(states, tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(states[NAMES[0]], path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BackboneError, match="is broken"):
        read_weights(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(WeightsNotFoundError, match="does not exist"):
        read_weights(tmp_path / "none.safetensors")


@pytest.mark.parametrize("state", [[1, 2], {}, {"lr": 0.1}, {"state_dict": {"a": "b"}}])
def test_files_without_tensors(state, tmp_path):
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(BackboneError, match="no dictionary of tensors"):
        read_weights(tmp_path / "x.pt")


def test_the_digest_sees_names_shapes_types_and_bytes():
    base = torch.nn.Linear(4, 4)
    torch.nn.init.zeros_(base.weight)
    torch.nn.init.zeros_(base.bias)
    reference = digest(base)
    assert reference == digest(base)
    assert len(reference) == 64
    changed = [torch.nn.Linear(4, 4) for _ in range(3)]
    for module in changed:
        module.load_state_dict(base.state_dict())
    changed[0].weight.data[3, 3] = 1e-30
    changed[1].weight.data = changed[1].weight.data.view(2, 8)
    changed[2] = changed[2].double()
    named = torch.nn.Sequential(base)
    assert len({reference, digest(named), *map(digest, changed)}) == 5


def test_random_weights_are_the_same_every_time(random_backbone):
    torch.manual_seed(3)
    first = random_backbone("timm:test_resnet").outputs[0].document
    drawn = torch.rand(1)
    second = random_backbone("timm:test_resnet").outputs[0].document
    assert first == second
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))  # the caller's own randomness is left alone
