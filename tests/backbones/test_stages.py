"""The stages of networks, and what ``--layer stages`` and ``auto`` take of them."""

from __future__ import annotations

import pytest
import torch

from featx.backbones import load_backbone
from featx.backbones._loading import parse_name
from featx.backbones._stages import find_stages
from featx.errors import UnknownNameError, UsageError
from featx.types import BackboneRequest

STAGES = {
    "featx:lite0": ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.6"],
    "featx:mini-v1": ["layer1", "layer2", "layer3", "layer4"],
    "timm:resnet18": ["act1", "layer1", "layer2", "layer3", "layer4"],
    "timm:vit_tiny_patch16_224": ["blocks.2", "blocks.5", "blocks.8", "blocks.11"],
    "timm:swin_tiny_patch4_window7_224": ["layers.0", "layers.1", "layers.2", "layers.3"],
    "timm:convnext_atto": ["stages.0", "stages.1", "stages.2", "stages.3"],
    "torchvision:resnet18": ["relu", "layer1", "layer2", "layer3", "layer4"],
    "torchvision:squeezenet1_0": ["features.1", "features.5", "features.10", "features.12"],
    "torchvision:efficientnet_b0": [f"features.{i}" for i in (1, 2, 3, 5, 8)],
    "torchvision:vit_b_32": [f"encoder.layers.encoder_layer_{i}" for i in (2, 5, 8, 11)],
    "torchvision:maxvit_t": ["stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3"],
}


@pytest.mark.parametrize("name", STAGES)
def test_stages_are_found_by_the_network_s_own_structure(name: str) -> None:
    source, rest = parse_name(name)
    network = source.sketch(rest)
    network.module.eval()
    x = torch.empty(1, 3, *network.preprocess.size_px, device="meta")
    assert find_stages(network, x) == STAGES[name]


def test_stages_are_one_embedding_of_pooled_maps(random_backbone) -> None:
    backbone = random_backbone("timm:resnet18", layers=("stages",), poolings=("max",), size_px=64)
    named = random_backbone(
        "timm:resnet18", layers=tuple(STAGES["timm:resnet18"]), poolings=("max",), size_px=64
    )
    assert backbone.outputs == named.outputs, "the same embedding, whatever it was called"
    assert backbone.outputs[0].n_features == 64 + 64 + 128 + 256 + 512


def test_auto_gives_each_stage_and_the_pre_logits(random_backbone) -> None:
    backbone = random_backbone("timm:resnet18", layers=("auto",), size_px=64)
    names = [output.name for output in backbone.outputs]
    assert names == [f"{stage}:avg" for stage in STAGES["timm:resnet18"]] + ["pre-logits"]
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        vectors = backbone.network(x)
        (own,) = random_backbone("timm:resnet18", size_px=64).network(x)
    torch.testing.assert_close(vectors[-1], own)


def test_a_layer_may_name_its_own_pooling(random_backbone) -> None:
    both = random_backbone("timm:resnet18", layers=("layer3:max", "pre-logits"), size_px=64)
    (output,) = both.outputs
    assert (output.name, output.n_features) == ("layer3:max,pre-logits", 256 + 512)
    with pytest.raises(UnknownNameError, match="Unknown pooling of layer 'layer3' 'mux'"):
        random_backbone("timm:resnet18", layers=("layer3:mux",), size_px=64)


def test_stages_and_auto_stand_alone() -> None:
    request = BackboneRequest("featx:mini-v1", layers=("auto", "layer2"))
    with pytest.raises(UsageError, match="'stages' and 'auto' cannot be combined"):
        load_backbone(request)
