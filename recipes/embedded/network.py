"""The network of ``featx:mini-v1``: a small ResNet of timm parts, and what its embedding is.

Plain 3x3 convolutions are what a processor's bf16 instructions run fastest; depthwise
convolutions and attention are limited by memory there.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

TIMM_NAME = "resnet18"
TIMM_KWARGS: dict[str, Any] = {
    "layers": [1, 1, 2, 1],
    "channels": [32, 64, 160, 320],
    "stem_type": "deep",
    "stem_width": 16,
    "avg_down": True,
    "num_classes": 0,
}
POOLED_LAYERS = ("layer2", "layer3", "layer4")

# ImageNet's channel statistics: the input of the network and of its teacher.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def build_network() -> nn.Module:
    """Return the untrained network as a timm module without classifier (2.4 M parameters).

    The max-pool is removed: inputs are as small as 32 px, and its stride would leave one
    pixel at the last stage. Input float ``(n, 3, h, w)``, output ``(n, 320)``.
    """
    network = timm.create_model(TIMM_NAME, pretrained=False, **TIMM_KWARGS)
    network.maxpool = nn.Identity()
    return network


def forward_stages(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return the feature maps of all four stages of ``x`` ``(n, 3, h, w)``, by layer name."""
    x = network.maxpool(network.act1(network.bn1(network.conv1(x))))
    maps = {}
    for name in ("layer1", "layer2", "layer3", "layer4"):
        x = getattr(network, name)(x)
        maps[name] = x
    return maps


def embed(
    network: nn.Module,
    x: Tensor,
    sizes_px: tuple[int, ...],
    layers: tuple[str, ...] = POOLED_LAYERS,
) -> Tensor:
    """Embed a normalised batch: average-pooled ``layers`` at each of ``sizes_px``, concatenated.

    ``x`` is float ``(n, 3, s, s)`` with ``s = sizes_px[0]``, the largest; smaller sizes are made
    from it by antialiased bilinear resizing. Returns float32 ``(n, width)``, sizes outermost.
    """
    parts = []
    for size in sizes_px:
        view = x
        if size != x.shape[-1]:
            view = F.interpolate(
                x, size=(size, size), mode="bilinear", align_corners=False, antialias=True
            )
        maps = forward_stages(network, view)
        parts += [maps[name].float().mean(dim=(2, 3)) for name in layers]
    return torch.cat(parts, dim=1)
