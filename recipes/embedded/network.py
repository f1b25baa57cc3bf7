"""The network of ``featx:mini-v1``: a small ResNet of timm parts, and what its embedding is.

Plain 3x3 convolutions are what a processor's bf16 instructions run fastest; depthwise
convolutions and attention are limited by memory there.
"""

from __future__ import annotations

import hashlib
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

# The embedding: which stages, averaged over the image, at which input sizes; the largest is what
# preprocessing delivers. Chosen by probes: see README.md.
POOLED_LAYERS = ("layer2", "layer3", "layer4")
SIZES_PX = (128, 64)
RESIZE = "squash"  # both sides to the size, or "shortest": the short side, then a centre crop
INTERPOLATION = "bicubic"
CROP = 1.0

# ImageNet's channel statistics: the input of the network and of its teacher.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def build_network() -> Any:
    """Return the untrained network as a timm module without classifier (2.4 M parameters).

    The max-pool is removed: inputs are as small as 32 px, and its stride would leave one
    pixel at the last stage. Input float ``(n, 3, h, w)``, output ``(n, 320)``.
    """
    network: Any = timm.create_model(TIMM_NAME, pretrained=False, **TIMM_KWARGS)
    network.maxpool = nn.Identity()
    return network


def forward_stages(network: Any, x: Tensor) -> dict[str, Tensor]:
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
    sizes_px: tuple[int, ...] = SIZES_PX,
    layers: tuple[str, ...] = POOLED_LAYERS,
) -> Tensor:
    """Embed a normalised batch: average-pooled ``layers`` at each of ``sizes_px``, concatenated.

    ``x`` is float ``(n, 3, s, s)``, its size usually the first, largest; other sizes are made from
    it by antialiased bilinear resizing. Returns float32 ``(n, width)``, sizes outermost.
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


def specification(weights: bytes) -> dict[str, Any]:
    """Return all that another program needs to rebuild the backbone and its input.

    ``weights`` is the content of the safetensors file.
    """
    network = build_network()
    widths = {info["module"]: info["num_chs"] for info in network.feature_info}
    return {
        "format": 1,
        "name": "featx:mini-v1",
        "architecture": {
            "timm_name": TIMM_NAME,
            "timm_kwargs": TIMM_KWARGS,
            "replaced_by_identity": ["maxpool"],
        },
        "layers": list(POOLED_LAYERS),
        "pooling": "avg",
        "sizes_px": list(SIZES_PX),
        "n_features": len(SIZES_PX) * sum(widths[name] for name in POOLED_LAYERS),
        "n_parameters": sum(p.numel() for p in network.parameters()),
        "preprocess": {
            "size_px": [SIZES_PX[0]] * 2,
            "resize": RESIZE,
            "interpolation": INTERPOLATION,
            "crop": CROP,
            "mean": list(MEAN),
            "std": list(STD),
        },
        "weights": {
            "file": "mini-v1.safetensors",
            "dtype": "float16",
            "size_bytes": len(weights),
            "sha256": hashlib.sha256(weights).hexdigest(),
        },
    }
