"""``torchvision:<name>[.<WEIGHTS>]``: torchvision's classification networks.

The pre-logits are the input of the last linear layer (for SqueezeNet, which has none, the pooled
input of its classifier).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from featx.backbones import _hub
from featx.backbones._base import BackboneInfo, Features, Network
from featx.backbones._building import hollow_network, meta_network, random_network
from featx.backbones._files import find_file, read_weights
from featx.backbones._unknown import unknown_name
from featx.backbones._weights import fit_weights
from featx.types import BackboneRequest, Preprocess

_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")  # training-time classifiers of the Inceptions
#: By the beginning of a network's name, the module whose output its classifier (or the pooling
#: before it) is given: the last map of features, or all tokens.
_FEATURES: dict[str, Features] = {
    **dict.fromkeys(("alexnet", "vgg"), Features("avgpool")),
    **dict.fromkeys(("convnext", "efficientnet", "mobilenet", "squeezenet"), Features("features")),
    "densenet": Features("features", torch.relu),  # a function of its forward, no module
    "googlenet": Features("inception5b"),
    "inception": Features("Mixed_7c"),
    "maxvit": Features("blocks.3"),
    "mnasnet": Features("layers"),
    "regnet": Features("trunk_output"),
    **dict.fromkeys(("resnet", "resnext", "wide_resnet"), Features("layer4")),
    "shufflenet": Features("conv5"),
    "swin": Features("permute"),
    "vit": Features("encoder"),
}
_OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)")


class TorchvisionSource:
    """Networks and weights of ``torchvision.models``."""

    summary = "torchvision's classification networks"

    def names(self) -> list[str]:
        """``name.WEIGHTS`` of all weights, the default ones first."""
        names = torchvision.models.list_models(module=torchvision.models)
        return [f"{name}.{tag}" for name in names for tag in _tags(name)]

    def build(self, name: str, request: BackboneRequest, *, offline: bool) -> Network:
        """See `featx.backbones._base.Source`."""
        name, weights = _resolve(name)
        if not request.pretrained:
            full_name = f"torchvision:{name}/random"
            network = _network(name, weights, request.size_px, full_name, random_network)
            network.pretrained = False
            return network
        full_name = f"torchvision:{name}" + ("" if request.weights else f".{weights.name}")
        if request.weights is not None:
            path = find_file(request.weights)
        else:
            path = _hub.fetch_url(weights.url, what=full_name, offline=offline)
        state = read_weights(path)
        network = _network(name, weights, request.size_px, full_name, hollow_network)
        fitted = fit_weights(
            network.module,
            state,
            heads=network.heads,
            what=f"{str(path)!r} does not fit {network.name}",
            convert=lambda state, module: _adapt(name, state, module),
        )
        network.weights_file = path
        network.fitted = fitted
        return network

    def sketch(self, name: str) -> Network:
        """See `featx.backbones._base.Source`."""
        name, weights = _resolve(name)
        full_name = f"torchvision:{name}.{weights.name}"
        return _network(name, weights, None, full_name, meta_network)

    def info(self, name: str) -> BackboneInfo:
        """See `featx.backbones._base.Source`."""
        name, weights = _resolve(name)
        return BackboneInfo(
            name=f"torchvision:{name}.{weights.name}",
            n_features=None,
            size_px=_preprocess(weights).size_px,
            n_parameters=None,
            on_this_machine=_hub.cached_url(weights.url) is not None,
            origin=weights.url,
        )


PLUGIN = TorchvisionSource()


def _tags(name: str) -> list[str]:
    """Names of a network's weights, the default first."""
    weights = torchvision.models.get_model_weights(name)
    default = weights.DEFAULT.name
    return [default, *(w.name for w in weights if w.name != default)]


def _resolve(full: str) -> tuple[str, Any]:
    """The network's name and its weights (an entry of its enumeration)."""
    name, _, tag = full.partition(".")
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise unknown_name(
            "torchvision backbone",
            name,
            names,
            command="featx backbones torchvision:",
            prefix="torchvision:",
        )
    weights = torchvision.models.get_model_weights(name)
    if tag and tag not in _tags(name):
        raise unknown_name(
            f"weights of torchvision:{name}",
            tag,
            _tags(name),
            command=f"featx backbones torchvision:{name}",
            prefix=f"torchvision:{name}.",
        )
    return name, weights[tag] if tag else weights.DEFAULT


def _preprocess(weights: Any) -> Preprocess:
    """The transform that the weights come with, in featx's words."""
    own = weights.transforms()
    size, edge = own.crop_size[0], own.resize_size[0]
    return Preprocess(
        size_px=(size, size),
        resize="shortest",
        interpolation=own.interpolation.value,
        crop=size / edge,
        mean=tuple(own.mean),
        std=tuple(own.std),
    )


def _arguments(name: str, size_px: int) -> dict[str, Any]:
    """Arguments of the constructor that the weights were trained with or that the size asks for."""
    if name in ("inception_v3", "googlenet"):
        return {"transform_input": True, "aux_logits": False}
    if name.startswith("vit_"):
        return {"image_size": size_px}
    return {}


def _construct(name: str, arguments: dict[str, Any]) -> nn.Module:
    if "aux_logits" in arguments:  # the Inceptions' own initialisation takes ten seconds
        arguments = {**arguments, "init_weights": False}
    module: nn.Module = torchvision.models.get_model(name, weights=None, **arguments)
    return module


def _network(
    name: str,
    weights: Any,
    size_px: int | None,
    full_name: str,
    build: Callable[[Callable[[], nn.Module]], nn.Module],
) -> Network:
    """The network, built as asked, and what the zoo knows of it."""
    preprocess = _preprocess(weights)
    arguments = _arguments(name, size_px or preprocess.size_px[0])
    module = build(lambda: _construct(name, arguments))
    linear = [n for n, m in module.named_modules() if isinstance(m, nn.Linear)]
    is_vit = name.startswith("vit_")
    return Network(
        module=module,
        name=full_name,
        architecture={"source": "torchvision", "name": name, "arguments": arguments},
        preprocess=preprocess,
        pretrained=True,
        heads=(linear[-1] if linear else "classifier",),
        n_prefix_tokens=1 if is_vit else 0,
        has_cls_token=is_vit,
        token_pooling="cls" if is_vit else "avg",
        channels_last=name.startswith("swin"),
        features=next(f for start, f in _FEATURES.items() if name.startswith(start)),
    )


def _adapt(name: str, state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """What torchvision's own loaders do to published weights before they fit."""
    state = {k: v for k, v in state.items() if not k.startswith(_AUXILIARY)}
    if name.startswith("densenet"):
        state = {_OLD_DENSENET.sub(r"\1\2", k): v for k, v in state.items()}
    position = state.get("encoder.pos_embedding")
    if isinstance(module, VisionTransformer) and position is not None:
        wanted = module.encoder.pos_embedding.shape
        if position.shape[1] != wanted[1] and position.shape[2] == wanted[2]:
            state = interpolate_embeddings(module.image_size, module.patch_size, state)
    return state
