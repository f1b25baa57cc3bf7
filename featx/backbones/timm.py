"""``timm:<name>[.<tag>]``: every classification network of timm.

The tag decides weights and preprocessing. Where the weights' configuration names a test size and
crop, these are used, as timm's own validation does; networks of a fixed size keep theirs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from timm.data import resolve_data_config
from timm.models import PretrainedCfg, get_pretrained_cfg
from timm.models.pit import PoolingVisionTransformer

from featx.backbones import _hub
from featx.backbones._base import BackboneInfo, Features, Network
from featx.backbones._building import meta_network, random_weights
from featx.backbones._files import find_file, read_weights
from featx.backbones._timm_filter import build_unloaded
from featx.backbones._unknown import unknown_name
from featx.backbones._weights import fit_weights
from featx.errors import BackboneError, WeightsNotFoundError
from featx.types import BackboneRequest, Preprocess

if TYPE_CHECKING:
    from torch import Tensor


class TimmSource:
    """Networks and weights of timm."""

    summary = "timm's classification networks"

    def names(self) -> list[str]:
        """``name.tag`` of all weights."""
        names: list[str] = timm.list_models(pretrained=True)
        return names

    def build(self, name: str, request: BackboneRequest, *, offline: bool) -> Network:
        """See `featx.backbones._base.Source`."""
        name, tag, cfg = _resolve(name)
        arguments: dict[str, Any] = {}
        if request.size_px is not None and cfg.fixed_input_size:
            arguments["img_size"] = request.size_px
        if not request.pretrained:
            with random_weights():
                module = timm.create_model(_joined(name, tag), **arguments)
            return _describe(module, f"timm:{name}/random", name, arguments, pretrained=False)
        if request.weights is not None:
            full_name = f"timm:{name}"
            path = find_file(request.weights)
        else:
            full_name = f"timm:{_joined(name, tag)}"
            path = _zoo_weights(cfg, full_name, offline=offline)
        state = read_weights(path)
        module, loading = build_unloaded(_joined(name, tag), arguments)
        heads = _heads(module)
        fitted = fit_weights(
            module,
            state,
            heads=heads,
            what=f"{str(path)!r} does not fit {full_name}",
            convert=lambda state, module: loading.convert(state, module, heads),
            convert_first=request.weights is None,
            lenient=loading.lenient,
        )
        network = _describe(module, full_name, name, arguments, pretrained=True)
        network.weights_file = path
        network.fitted = fitted
        return network

    def sketch(self, name: str) -> Network:
        """See `featx.backbones._base.Source`."""
        name, tag, _ = _resolve(name)
        module = meta_network(lambda: timm.create_model(_joined(name, tag)))
        return _describe(module, f"timm:{_joined(name, tag)}", name, {}, pretrained=True)

    def info(self, name: str) -> BackboneInfo:
        """See `featx.backbones._base.Source`."""
        _, _, cfg = _resolve(name)
        if cfg.hf_hub_id:
            here = _hub.cached_hf(cfg.hf_hub_id, cfg.hf_hub_filename) is not None
        else:
            here = bool(cfg.url) and _hub.cached_url(cfg.url) is not None
        return BackboneInfo(
            name=f"timm:{name}",
            n_features=None,
            size_px=tuple(_data_config(cfg)["input_size"][1:]),
            n_parameters=None,
            on_this_machine=here,
            origin=cfg.hf_hub_id or cfg.url or "",
        )


PLUGIN = TimmSource()


def _joined(name: str, tag: str) -> str:
    return f"{name}.{tag}" if tag else name


def _resolve(full: str) -> tuple[str, str, Any]:
    """The network's name, its weights' tag and timm's configuration of them.

    Without a tag, that of the default weights.
    """
    name, _, tag = full.partition(".")
    if not timm.is_model(name):
        known = timm.list_models() + (PLUGIN.names() if "." in full else [])
        raise unknown_name(
            "timm backbone", full, known, command="featx backbones timm:", prefix="timm:"
        )
    try:
        cfg = get_pretrained_cfg(full, allow_unregistered=True)
    except RuntimeError:  # the name is known, so it is the tag that is not
        tags = [n.partition(".")[2] for n in timm.list_models(f"{name}.*", pretrained=True)]
        raise unknown_name(
            f"weights of timm:{name}",
            tag,
            tags,
            command=f"featx backbones timm:{name}",
            prefix=f"timm:{name}.",
        ) from None
    cfg = cfg or PretrainedCfg()  # a network that has none gets timm's defaults
    return name, tag or cfg.tag or "", cfg


def _zoo_weights(cfg: Any, full_name: str, *, offline: bool) -> Path:
    """Where the weights of a tag lie on this machine, fetched from their hub if need be."""
    if cfg.hf_hub_id:
        return _hub.fetch_hf(cfg.hf_hub_id, cfg.hf_hub_filename, what=full_name, offline=offline)
    if cfg.url:
        return _hub.fetch_url(cfg.url, what=full_name, offline=offline)
    raise WeightsNotFoundError(
        f"timm has no pretrained weights for {full_name}.",
        hint="Give --weights FILE, or --no-pretrained for random weights.",
    )


def _heads(module: Any) -> tuple[str, ...]:
    classifier = module.pretrained_cfg.get("classifier") or ()
    return (classifier,) if isinstance(classifier, str) else tuple(classifier)


def _data_config(cfg: Any) -> dict[str, Any]:
    """Size, crop and normalisation as ``timm.data.resolve_model_data_config`` gives them.

    Like there, the larger test size that some tags name is left to the user (``--size``): it
    costs up to 1.7 times as much, and people compare against the default.
    """
    values = cfg if isinstance(cfg, dict) else vars(cfg)
    config: dict[str, Any] = resolve_data_config(pretrained_cfg=values)
    return config


def _preprocess(cfg: dict[str, Any], name: str) -> Preprocess:
    config = _data_config(cfg)
    if config["crop_mode"] == "border":
        raise BackboneError(
            f"{name} needs images padded to a square, which featx does not do.",
            hint="Choose another backbone; `featx backbones timm:` lists them.",
        )
    channels, height, width = config["input_size"]
    if channels != 3:
        raise BackboneError(f"{name} takes {channels} channels; featx gives it RGB.")
    return Preprocess(
        size_px=(height, width),
        resize="squash" if config["crop_mode"] == "squash" else "shortest",
        interpolation=config["interpolation"],
        crop=config["crop_pct"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _pre_logits(module: Any, x: Tensor) -> Tensor:
    try:
        vectors: Tensor = module.forward_head(module.forward_features(x), pre_logits=True)
    except NotImplementedError as error:
        raise BackboneError(
            f"timm's {type(module).__name__} has no pre-logits: {error}",
            hint="Use --pooling avg, or name a layer with --layer.",
        ) from None
    return vectors


def _features(module: Any, x: Tensor) -> Any:
    return module.forward_features(x)


def _class_tokens_and_map(module: Any, x: Tensor) -> Tensor:
    """PiT's ``forward_features`` gives the class tokens alone; the map is its last stage's."""
    tokens, maps = module.forward_intermediates(x, indices=1)
    return torch.cat([tokens, maps[-1].flatten(2).transpose(1, 2)], dim=1)


def _describe_features(module: Any) -> Features:
    """How to read what ``forward_features`` gives."""
    # NaFlexViT keeps its class token with its other embeddings; CoaT has one a stage.
    places = (("", "cls_token"), ("embeds", "cls_token"), ("", "cls_token1"))
    tokens = [getattr(getattr(module, p, None) if p else module, n, None) for p, n in places]
    token = next((t for t in tokens if t is not None), None)
    n_prefix = getattr(module, "num_prefix_tokens", None)
    if n_prefix is None:  # VOLO, CoaT and PiT do not say
        n_prefix = 0 if token is None else token.shape[1]
    is_pit = isinstance(module, PoolingVisionTransformer)
    return Features(
        compute=_class_tokens_and_map if is_pit else _features,
        channels_last=getattr(module, "output_fmt", "NCHW") == "NHWC",
        n_prefix_tokens=n_prefix,
        has_cls_token=token is not None,
    )


def _describe(
    module: Any,
    full_name: str,
    name: str,
    arguments: dict[str, Any],
    *,
    pretrained: bool,
) -> Network:
    """Say of a timm network what its attributes tell."""
    if not hasattr(module, "forward_head"):
        raise BackboneError(f"{full_name} is not a classification network: it has no pre-logits.")
    pooling = getattr(module, "global_pool", "")

    return Network(
        module=module,
        name=full_name,
        architecture={"source": "timm", "name": name, "arguments": arguments},
        preprocess=_preprocess(module.pretrained_cfg, full_name),
        pretrained=pretrained,
        heads=_heads(module),
        pre_logits=_pre_logits,
        n_prefix_tokens=getattr(module, "num_prefix_tokens", 0),
        has_cls_token=getattr(module, "cls_token", None) is not None,
        token_pooling="cls" if pooling == "token" else "avg",
        channels_last=getattr(module, "output_fmt", "NCHW") == "NHWC",
        features=_describe_features(module),
    )
