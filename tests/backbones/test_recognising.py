"""A file of weights alone: its tensors name the backbone, or it is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from featx import console
from featx.backbones import SOURCES, load_backbone, recognise_backbone
from featx.backbones._building import random_network
from featx.backbones._recognising import INDEX, signature
from featx.backbones.featx import FOLDER
from featx.config import ExtractConfig
from featx.errors import BackboneError, UsageError, WeightsNotFoundError
from featx.extraction.resolving import resolve_backbone

RECORDED: dict[str, dict[str, list[str]]] = json.loads(INDEX.read_text("utf-8"))


def tensors(name: str, **options: Any) -> dict[str, torch.Tensor]:
    """Of one of timm's networks, drawn at random."""
    module = random_network(lambda: timm.create_model(name, **options))
    return {k: v.contiguous() for k, v in module.state_dict().items()}


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(state: dict[str, Any], name: str = "weights.pth") -> str:
        torch.save(state, tmp_path / name)
        return str(tmp_path / name)

    return save


def test_the_index_holds_nearly_all_that_have_weights() -> None:
    names = {n.partition(".")[0] for s in ("timm", "torchvision") for n in SOURCES.get(s).names()}
    held = {n.partition(":")[2] for marks in RECORDED.values() for ns in marks.values() for n in ns}
    assert len(names - held) <= 0.02 * len(names), sorted(names - held)


@pytest.mark.parametrize(
    "name",
    ["timm:test_vit", "timm:test_byobnet", "timm:resnet18", "timm:vit_tiny_patch16_224",
     "timm:mobilenetv3_small_050", "torchvision:squeezenet1_1", "torchvision:resnet18",
     "torchvision:alexnet", "timm:convnext_atto"],
)  # fmt: skip
def test_the_index_is_that_of_the_installed_zoos(name: str) -> None:
    source, _, rest = name.partition(":")
    network = SOURCES.get(source).sketch(rest)
    shapes = {k: v.shape for k, v in network.module.state_dict().items()}
    assert name in RECORDED[" ".join(network.heads)][signature(shapes, network.heads)]


@pytest.mark.parametrize("name", ["test_byobnet", "test_convnext", "mobilenetv3_small_050"])
def test_a_file_is_recognised_and_loads(name: str, saved: Any) -> None:
    path = saved(tensors(name))
    config = resolve_backbone(ExtractConfig(weights=path))
    assert config.backbone == [f"timm:{name}"]
    (request,) = config.requests()
    assert load_backbone(request).pretrained


def test_what_trainers_put_around_the_tensors_does_not_matter(saved: Any, tmp_path: Path) -> None:
    state = tensors("test_byobnet", num_classes=7)
    assert recognise_backbone(saved(state)) == "timm:test_byobnet"
    wrapped = {f"module.backbone.{name}": tensor for name, tensor in state.items()}
    projector = {"module.projector.0.weight": torch.zeros(3, 3)}
    nested = {"state_dict": wrapped | projector, "epoch": 3}
    assert recognise_backbone(saved(nested, "last.ckpt")) == "timm:test_byobnet"
    headless = {k: v for k, v in state.items() if not k.startswith("head.")}
    assert recognise_backbone(saved(headless)) == "timm:test_byobnet"
    counted = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    save_file(counted, tmp_path / "model.safetensors")
    assert recognise_backbone(tmp_path) == "timm:test_byobnet"


def test_the_weights_that_come_with_featx_are_recognised() -> None:
    assert recognise_backbone(FOLDER / "mini-v1.safetensors") == "featx:mini-v1"


def test_several_backbones_of_the_same_tensors_are_named_not_chosen_from(saved: Any) -> None:
    path = saved(tensors("resnet18"))
    with pytest.raises(UsageError, match=r"are those of [0-9]+ backbones") as caught:
        resolve_backbone(ExtractConfig(weights=path))
    assert "timm:resnet18" in caught.value.message
    assert "torchvision:resnet18" in caught.value.message
    assert "--backbone timm:" in str(caught.value)
    named = ExtractConfig(weights=path, backbone=["torchvision:resnet18"])
    assert resolve_backbone(named) is named


def test_a_tensor_more_less_or_of_another_shape_is_recognised_as_nothing(saved: Any) -> None:
    state = tensors("test_byobnet")
    first = next(iter(state))
    for other in (
        {k: v for k, v in state.items() if k != first},
        {**state, "surplus": torch.zeros(2)},
        {**state, first: torch.zeros(5, 5)},
        {"a": torch.zeros(3)},
    ):
        with pytest.raises(
            UsageError, match="do not match, by name and shape, any backbone"
        ) as caught:
            recognise_backbone(saved(other))
        assert "--backbone" in str(caught.value)


def test_files_that_cannot_be_read_are_refused_as_ever(saved: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="does not exist"):
        resolve_backbone(ExtractConfig(weights=str(tmp_path / "none.pt")))
    (tmp_path / "page.pt").write_text("<html></html>")
    with pytest.raises(BackboneError):
        resolve_backbone(ExtractConfig(weights=str(tmp_path / "page.pt")))


def test_what_was_recognised_is_said(saved: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "log", said.append)
    path = saved(tensors("test_byobnet"))
    resolve_backbone(ExtractConfig(weights=path))
    assert len(said) == 1
    assert said[0].startswith(f"{path} holds the tensors of timm:test_byobnet; featx uses it")
