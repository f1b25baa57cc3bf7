"""Zoo weights: found in both local caches, checked, missed with directions; no long wait."""

from __future__ import annotations

import hashlib
import socket
import time
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from featx.backbones import _hub, list_backbones, load_backbone
from featx.errors import BackboneError, UnknownNameError, UsageError, WeightsNotFoundError
from featx.types import BackboneRequest

TIMM = "timm:test_resnet.r160_in1k"
TORCHVISION = "torchvision:squeezenet1_1.IMAGENET1K_V1"


@pytest.fixture
def hf_cache(tmp_path, monkeypatch) -> Path:
    """An empty Hugging Face cache."""
    from huggingface_hub import constants

    folder = tmp_path / "hf" / "hub"
    folder.mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return folder


@pytest.fixture
def torch_home(tmp_path, monkeypatch) -> Path:
    """An empty torch.hub folder; returns where its checkpoints belong."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def no_network(monkeypatch) -> None:
    """Every connection fails, as on a machine without a network."""

    def refuse(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def put_into_hf_cache(cache: Path, repository: str, filename: str, state: dict) -> None:
    """Lay a file out as huggingface_hub does."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("a" * 40)
    if filename.endswith(".safetensors"):
        save_file(state, snapshot / filename)
    else:
        torch.save(state, snapshot / filename)


@pytest.mark.parametrize("filename", ["model.safetensors", "pytorch_model.bin"])
def test_timm_weights_from_the_hugging_face_cache(filename, hf_cache, no_network):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        module = timm.create_model("test_resnet").eval()
    put_into_hf_cache(hf_cache, "timm/test_resnet.r160_in1k", filename, module.state_dict())
    backbone = load_backbone(BackboneRequest("timm:test_resnet"))
    assert backbone.name == TIMM
    assert backbone.pretrained
    x = torch.randn(2, 3, 160, 160)
    with torch.inference_mode():
        expected = module.forward_head(module.forward_features(x), pre_logits=True)
        torch.testing.assert_close(backbone.network(x)[0], expected)
    assert "state_dict" not in backbone.network.module.pretrained_cfg
    (row,) = list_backbones(TIMM)
    assert row.on_this_machine


def test_a_pickle_in_the_cache_executes_nothing(hf_cache, tmp_path, no_network):
    marker = tmp_path / "executed"

    class Payload:
        def __reduce__(self):
            return Path.mkdir, (marker,)

    put_into_hf_cache(
        hf_cache, "timm/test_resnet.r160_in1k", "pytorch_model.bin", {"conv1.weight": Payload()}
    )
    with pytest.raises(BackboneError, match="holds more than tensors"):
        load_backbone(BackboneRequest(TIMM))
    assert not marker.exists()


@pytest.mark.parametrize("offline", ["argument", "environment", "unreachable"])
def test_missing_timm_weights_say_what_to_fetch_and_where_to_put_it(
    offline, hf_cache, no_network, monkeypatch
):
    from huggingface_hub import constants

    if offline == "environment":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(WeightsNotFoundError) as caught:
        load_backbone(BackboneRequest(TIMM), offline=offline == "argument")
    assert sum(waits) < 10  # the hub client alone waits for 23 s between its retries
    text = str(caught.value)
    assert TIMM in text
    assert "'timm/test_resnet.r160_in1k'" in text
    assert "'model.safetensors'" in text
    assert str(hf_cache / "models--timm--test_resnet.r160_in1k") in text
    assert "--weights FILE" in text
    assert "--no-pretrained" in text


def test_torchvision_weights_from_the_torch_hub_folder(torch_home, no_network, monkeypatch):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        module = torchvision.models.squeezenet1_1(weights=None).eval()
    path = torch_home / "whole.pth"
    torch.save(module.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    right = path.rename(torch_home / f"squeezenet1_1-{digest[:8]}.pth")
    published = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.value
    monkeypatch.setattr(published, "url", f"https://example.invalid/models/{right.name}")
    backbone = load_backbone(BackboneRequest("torchvision:squeezenet1_1"))
    assert backbone.name == TORCHVISION
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = module.features(x).mean((2, 3))
        torch.testing.assert_close(backbone.network(x)[0], expected)
    (row,) = list_backbones(TORCHVISION)
    assert row.on_this_machine

    with right.open("ab") as file:
        file.write(b"x")
    with pytest.raises(BackboneError, match="is not what was published"):
        load_backbone(BackboneRequest("torchvision:squeezenet1_1"))


@pytest.mark.parametrize("offline", ["argument", "environment", "unreachable"])
def test_missing_torchvision_weights_say_what_to_fetch_and_where_to_put_it(
    offline, torch_home, no_network, monkeypatch
):
    if offline == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsNotFoundError) as caught:
        load_backbone(BackboneRequest(TORCHVISION), offline=offline == "argument")
    text = str(caught.value)
    assert "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth" in text
    assert str(torch_home / "squeezenet1_1-b8a52dc0.pth") in text
    assert "--weights FILE" in text
    assert not list(torch_home.iterdir())


def test_a_download_is_whole_and_right_or_absent(torch_home, tmp_path):
    good = tmp_path / "published.pth"
    good.write_bytes(b"tensors" * 1000)
    prefix = hashlib.sha256(good.read_bytes()).hexdigest()[:8]
    served = tmp_path / f"net-{prefix}.pth"
    served.write_bytes(good.read_bytes()[:-1])  # the connection broke
    with pytest.raises(BackboneError, match="is not what was published"):
        _hub.fetch_url(served.as_uri(), what="x", offline=False)
    assert not list(torch_home.iterdir())
    served.write_bytes(good.read_bytes())
    path = _hub.fetch_url(served.as_uri(), what="x", offline=False)
    assert path == torch_home / served.name
    assert path.read_bytes() == good.read_bytes()
    assert list(torch_home.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("resnet18", UsageError, "allowed are featx:NAME, timm:NAME, torchvision:NAME"),
        ("timm:", UsageError, "has no prefix for its source"),
        ("tim:resnet18", UnknownNameError, "Did you mean 'timm'"),
        ("timm:resnet81", UnknownNameError, "Did you mean 'resnet1"),
        ("timm:resnet18.a1_in2k", UnknownNameError, "Did you mean 'a1_in1k'"),
        ("torchvision:squeezenet", UnknownNameError, "is part of 2 names: torchvision:squ"),
        ("torchvision:resnet50.IMAGENET1K_V3", UnknownNameError, "IMAGENET1K_V2"),
        ("featx:mini", UnknownNameError, "is part of 1 name: featx:mini-v1"),
    ],
)
def test_unknown_names_give_the_nearest(name, error, message):
    with pytest.raises(error, match=message) as caught:
        load_backbone(BackboneRequest(name, pretrained=False))
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) < 500
