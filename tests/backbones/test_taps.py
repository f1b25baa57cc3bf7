"""Named layers and poolings, in one pass, against the same taken by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from featx.backbones import list_layers
from featx.backbones._base import Network
from featx.backbones._taps import Tap, TappedNetwork
from featx.errors import BackboneError, UnknownNameError, UsageError
from featx.types import Preprocess


def by_hand(module: nn.Module, layer: str, x: torch.Tensor) -> torch.Tensor:
    """Output of a layer, copied at once because the next one may overwrite it."""
    taken = []
    handle = module.get_submodule(layer).register_forward_hook(
        lambda _m, _i, output: taken.append(output.clone())
    )
    with torch.inference_mode():
        module(x)
    handle.remove()
    return taken[-1]


def run(backbone, size: int) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    x = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        backbone.network(x)  # the second pass may end early: it must give the same
        return backbone.network(x), x


def test_several_layers_and_poolings_concatenated(random_backbone):
    backbone = random_backbone(
        "torchvision:resnet18",
        layers=("layer2", "layer3.0.bn2"),
        poolings=("avg", "max"),
        size_px=64,
    )
    ((vector,), x) = run(backbone, 64)
    module = backbone.network.module
    expected = []
    for layer in ("layer2", "layer3.0.bn2"):
        y = by_hand(module, layer, x)
        expected += [y.mean((2, 3)), y.amax((2, 3))]
    torch.testing.assert_close(vector, torch.cat(expected, 1))
    (output,) = backbone.outputs
    assert output.n_features == vector.shape[1] == 2 * (128 + 256)
    assert output.name == "layer2:avg,layer2:max,layer3.0.bn2:avg,layer3.0.bn2:max"
    assert output.document["n_features"] == output.n_features


def test_separate_outputs_come_in_the_order_asked(random_backbone):
    backbone = random_backbone(
        "timm:resnet18", layers=("layer3", "pre-logits", "layer1"), separate=True, size_px=64
    )
    (vectors, x) = run(backbone, 64)
    assert [o.name for o in backbone.outputs] == ["layer3", "pre-logits", "layer1"]
    assert [v.shape[1] for v in vectors] == [256, 512, 64]
    module = backbone.network.module
    torch.testing.assert_close(vectors[0], by_hand(module, "layer3", x).mean((2, 3)))
    torch.testing.assert_close(vectors[2], by_hand(module, "layer1", x).mean((2, 3)))
    with torch.inference_mode():
        whole = module.forward_head(module.forward_features(x), pre_logits=True)
    torch.testing.assert_close(vectors[1], whole)
    documents = [o.document for o in backbone.outputs]
    assert len({str(d["output"]) for d in documents}) == 3
    assert documents[0]["backbone"] == "timm:resnet18/random/layer3"
    assert documents[1]["backbone"] == "timm:resnet18/random"


def test_an_activation_in_place_does_not_reach_what_was_taken(random_backbone):
    backbone = random_backbone(
        "torchvision:resnet18", layers=("bn1",), poolings=("flatten",), size_px=32
    )
    ((vector,), x) = run(backbone, 32)
    assert (vector < 0).any()  # the ReLU that follows works in place
    torch.testing.assert_close(vector, by_hand(backbone.network.module, "bn1", x).flatten(1))


def test_the_pass_ends_with_the_last_tap():
    calls = []

    class Late(nn.Module):
        def forward(self, x):
            calls.append(len(x))
            return x

    body = nn.Sequential(nn.Conv2d(3, 4, 3), Late(), nn.Flatten(), nn.LazyLinear(2))
    body(torch.zeros(1, 3, 8, 8))
    calls.clear()
    network = Network(body, "test:net", {}, Preprocess((8, 8)), False, heads=("3",))
    tapped = TappedNetwork(network, ((Tap("0", "avg"),),))
    first = tapped(torch.ones(2, 3, 8, 8))
    assert calls == [2]  # the first pass has to count
    second = tapped(torch.ones(2, 3, 8, 8))
    assert calls == [2]
    torch.testing.assert_close(first, second)
    body(torch.ones(2, 3, 8, 8))
    assert calls == [2, 2]  # outside, the network is itself


@pytest.mark.parametrize("name", ["timm:test_vit", "torchvision:resnet18"])
def test_layers_of_the_classifier_can_be_had_too(random_backbone, name):
    head = "head" if "vit" in name else "fc"
    backbone = random_backbone(name, layers=(head, "pre-logits"), separate=True)
    ((logits, features), x) = run(backbone, backbone.preprocess.size_px[0])
    torch.testing.assert_close(logits, by_hand(backbone.network.module, head, x))
    assert features.shape[1] != logits.shape[1]


def test_poolings_alone_pool_the_last_map(random_backbone):
    backbone = random_backbone("torchvision:resnet18", poolings=("avg+max",), size_px=64)
    ((vector,), x) = run(backbone, 64)
    y = by_hand(backbone.network.module, "layer4", x)
    torch.testing.assert_close(vector, torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1))


def test_vit_class_token_and_patches(random_backbone):
    backbone = random_backbone("timm:test_vit", poolings=("cls", "avg"), separate=True)
    ((cls, avg), x) = run(backbone, backbone.preprocess.size_px[0])
    module = backbone.network.module
    with torch.inference_mode():
        tokens = module.forward_features(x)
        pre_logits = module.forward_head(tokens, pre_logits=True)
    n_prefix = module.num_prefix_tokens
    torch.testing.assert_close(cls, tokens[:, 0])
    torch.testing.assert_close(cls, pre_logits)
    torch.testing.assert_close(avg, tokens[:, n_prefix:].mean(1))


def test_swin_layers_are_channels_last(random_backbone):
    backbone = random_backbone("torchvision:swin_t", layers=("features.3",), size_px=64)
    ((vector,), x) = run(backbone, 64)
    y = by_hand(backbone.network.module, "features.3", x)
    assert y.shape == (3, 8, 8, 192)
    torch.testing.assert_close(vector, y.mean((1, 2)))


def test_unknown_layers_name_the_nearest_and_the_listing(random_backbone):
    with pytest.raises(UnknownNameError, match="Did you mean 'layer4'") as caught:
        random_backbone("timm:resnet18", layers=("layr4",))
    assert "featx backbones timm:resnet18" in str(caught.value)
    assert "--layers" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_poolings_that_make_no_sense(random_backbone):
    with pytest.raises(BackboneError, match="is a map of features"):
        random_backbone("timm:resnet18", layers=("layer2",), poolings=("cls",), size_px=64)
    with pytest.raises(UsageError, match="already one vector"):
        random_backbone("timm:resnet18", layers=("pre-logits",), poolings=("avg",), size_px=64)


def test_a_module_that_is_never_called_is_said(random_backbone):
    # fused attention never calls its dropout
    with pytest.raises(
        BackboneError, match=r"'blocks\.0\.attn\.attn_drop' .* gives no output here"
    ):
        random_backbone("timm:test_vit", layers=("blocks.0.attn.attn_drop",))


def test_listed_layers_can_all_be_taken(random_backbone):
    names = [row.name for row in list_layers("timm:test_resnet") if len(row.shape) != 4]
    backbone = random_backbone("timm:test_resnet", layers=tuple(names), separate=True)
    assert [o.name for o in backbone.outputs] == names
