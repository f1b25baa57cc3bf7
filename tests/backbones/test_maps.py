"""Maps: known answers, and sums that must be the margins they explain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models.vision_transformer import VisionTransformer

from featx.backbones import explain, load_backbone
from featx.backbones._explaining import together
from featx.backbones._maps import class_activation, pooled_sources, roll_out
from featx.types import BackboneRequest

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def loaded(name: str, **options: Any) -> Any:
    return load_backbone(BackboneRequest(name, pretrained=False, **options), offline=True)


def tiny_vit(name: str, arguments: dict[str, Any]) -> VisionTransformer:
    return VisionTransformer(
        **arguments, patch_size=16, num_layers=2, num_heads=4, hidden_dim=64, mlp_dim=128
    )


EXACT: dict[str, dict[str, Any]] = {
    "timm:test_resnet": {},
    "timm:test_resnet/max": {"layers": ("layer4",), "poolings": ("max",)},
    "timm:test_resnet/two": {"layers": ("layer2", "layer4"), "poolings": ("avg+max",)},
    "timm:test_vit/tokens": {"layers": ("blocks.1",), "poolings": ("avg",)},
    "timm:cpubone_nano/own": {"poolings": ("max",)},
    "torchvision:densenet121/own": {"poolings": ("avg",)},
    "torchvision:squeezenet1_0": {},
    "featx:mini-v1": {"pretrained": True},
}


@pytest.mark.parametrize("case", EXACT)
def test_places_sum_to_the_margin(case: str) -> None:
    options = {"pretrained": False, "size_px": 64, **EXACT[case]}
    request = BackboneRequest(case.partition("/")[0], **options)
    backbone = load_backbone(request, offline=True)
    [output] = backbone.outputs
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (9, 64, 64, 3), dtype=np.uint8)  # more than one batch
    pixels[1] = 255
    along = rng.normal(size=(9, output.n_features))
    found = explain(request, {**output.document, "numerics": {}}, pixels, along)
    assert found is not None
    assert found.kind == "activation"
    p = backbone.preprocess
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    x = (x - torch.tensor(p.mean).view(3, 1, 1)) / torch.tensor(p.std).view(3, 1, 1)
    with torch.no_grad():
        embeddings = backbone.network(x)[0].double().numpy()
    margins = (embeddings * along).sum(axis=1)
    scale = np.abs(embeddings * along).sum(axis=1)
    assert found.maps.shape[1] > 1
    np.testing.assert_array_less(np.abs(found.maps.sum(axis=(1, 2)) - margins), 1e-4 * scale)


def test_a_bright_corner_is_where_it_is() -> None:
    backbone = loaded("timm:test_resnet", size_px=64, layers=("conv1.0",), poolings=("avg+max",))
    tapped = backbone.network
    with torch.no_grad():
        tapped.module.conv1[0].weight.fill_(1.0)
    x = torch.zeros(1, 3, 64, 64)
    x[:, :, 40:60, 4:20] = 1.0
    along = torch.ones(1, backbone.outputs[0].n_features).double()
    for part in class_activation(tapped, 0, x, along, pooled_sources(tapped, 0, x)):
        rows, columns = np.unravel_index(int(part[0].argmax()), part.shape[1:])
        assert 0.6 < rows / part.shape[1] < 0.95
        assert columns / part.shape[2] < 0.35
        assert float(part[0, : part.shape[1] // 2].abs().sum()) < 1e-9


def test_a_norm_after_pooling_has_no_map() -> None:
    request = BackboneRequest("timm:test_convnext", pretrained=False, size_px=64)
    [output] = load_backbone(request, offline=True).outputs
    along = np.ones((1, output.n_features))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    assert explain(request, output.document, pixels, along) is None


@pytest.mark.parametrize("name", ["timm:test_vit", "torchvision:vit_b_16"])
def test_attention_rolls_out_as_by_hand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # torchvision's transformer with fewer and narrower blocks
    monkeypatch.setattr("featx.backbones.torchvision._construct", tiny_vit)
    backbone = loaded(name, size_px=64)
    tapped: Any = backbone.network
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = tapped(x)[0].detach()
    rolled = roll_out(tapped, 0, x)
    assert rolled is not None
    side = 64 // 16
    assert rolled.shape == (2, side, side)
    assert (rolled >= 0).all()
    assert (rolled.sum(dim=(1, 2)) <= 1 + 1e-9).all()
    torch.testing.assert_close(tapped(x)[0].detach(), before)  # the network is as it was
    if name.startswith("timm"):
        flows = torch.eye(side**2 + 1, dtype=torch.float64).expand(2, -1, -1)
        h = tapped.module._pos_embed(tapped.module.patch_embed(x))
        for block in tapped.module.blocks:
            y = block.norm1(h)
            q, k, _ = (
                block.attn.qkv(y)
                .reshape(2, -1, 3, block.attn.num_heads, block.attn.head_dim)
                .permute(2, 0, 3, 1, 4)
            )
            weights = (q @ k.transpose(-1, -2) * block.attn.scale).softmax(-1).mean(1).double()
            flows = (weights + torch.eye(side**2 + 1)) / 2 @ flows
            h = block(h)
        torch.testing.assert_close(rolled.flatten(1), flows[:, 0, 1:], rtol=1e-5, atol=1e-7)


def test_attention_of_windows_is_not_rolled_out() -> None:
    backbone = loaded("timm:test_resnet", size_px=64)
    assert roll_out(backbone.network, 0, torch.zeros(1, 3, 64, 64)) is None


def test_maps_of_several_sizes_keep_their_sums() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(2, n, m)) for n, m in ((7, 5), (4, 10), (1, 1))]
    joined = together(maps)
    assert joined.shape == (2, 7, 10)
    np.testing.assert_allclose(joined.sum(axis=(1, 2)), sum(m.sum(axis=(1, 2)) for m in maps))
    np.testing.assert_allclose(together([np.ones((1, 2, 2)), np.zeros((1, 4, 4))]), 0.25)
