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

from featx import console
from featx.backbones import _hub
from featx.backbones._base import BackboneInfo, Network
from featx.backbones._unknown import unknown_name
from featx.backbones._weights import fit_weights, random_weights, read_weights
from featx.errors import BackboneError, WeightsNotFoundError
from featx.types import BackboneRequest, Preprocess

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PLUGIN"]


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
            path = request.weights
            module = _from_file(_joined(name, tag), arguments, path, full_name)
        else:
            full_name = f"timm:{_joined(name, tag)}"
            state, path = _zoo_weights(cfg, full_name, offline=offline)
            module = _convert(_joined(name, tag), arguments, state, full_name, path)
        network = _describe(module, full_name, name, arguments, pretrained=True)
        network.weights_file = Path(path)
        return network

    def sketch(self, name: str) -> Network:
        """See `featx.backbones._base.Source`."""
        name, tag, _ = _resolve(name)
        with torch.device("meta"):
            module = timm.create_model(_joined(name, tag))
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
    """The network's name, the tag of its weights (the default one when none is given), and
    timm's configuration of these weights."""
    name, _, tag = full.partition(".")
    if not timm.is_model(name):
        raise unknown_name(
            "timm backbone", name, timm.list_models(), command="featx backbones timm:"
        )
    try:
        cfg = get_pretrained_cfg(full, allow_unregistered=True)
    except RuntimeError:  # the name is known, so it is the tag that is not
        tags = [n.partition(".")[2] for n in timm.list_models(f"{name}.*", pretrained=True)]
        raise unknown_name(
            f"weights of timm:{name}", tag, tags, command=f"featx backbones timm:{name}"
        ) from None
    cfg = cfg or PretrainedCfg()  # a network that has none gets timm's defaults
    return name, tag or cfg.tag or "", cfg


def _zoo_weights(cfg: Any, full_name: str, *, offline: bool) -> tuple[dict[str, Tensor], str]:
    """The weights of a tag, from this machine or from their hub, and where they lie."""
    if cfg.hf_hub_id:
        path = _hub.fetch_hf(cfg.hf_hub_id, cfg.hf_hub_filename, what=full_name, offline=offline)
    elif cfg.url:
        path = _hub.fetch_url(cfg.url, what=full_name, offline=offline)
    else:
        raise WeightsNotFoundError(
            f"timm has no pretrained weights for {full_name}.",
            hint="Give --weights FILE, or --no-pretrained for random weights.",
        )
    return read_weights(path), str(path)


def _from_file(model: str, arguments: dict[str, Any], path: str, full_name: str) -> Any:
    """The user's own file: fitted as it is, else as timm converts other layouts."""
    state = read_weights(path)
    with random_weights():
        module = timm.create_model(model, **arguments)
    what = f"{path!r} does not fit {full_name}"
    try:
        fit_weights(module, state, heads=_heads(module), what=what)
    except BackboneError as misfit:
        try:
            return _convert(model, arguments, state, full_name, path)
        except BackboneError:
            raise misfit from None
    return module


def _convert(
    model: str, arguments: dict[str, Any], state: dict[str, Tensor], full_name: str, path: str
) -> Any:
    """Let timm build the network and convert the weights to its present layout.

    timm gets tensors, never a file: reading the file safely is not left to it.
    """
    overlay = {"state_dict": state, "custom_load": False}
    try:
        with random_weights():  # some published weights lack a few of their network's tensors
            module: Any = timm.create_model(
                model, pretrained=True, pretrained_cfg_overlay=overlay, **arguments
            )
    except (RuntimeError, KeyError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise BackboneError(f"{path!r} does not fit {full_name}: {reason[:600]}") from None
    module.pretrained_cfg.pop("state_dict", None)
    console.detail(f"{full_name}: weights from {path}")
    return module


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
            f"{name} wants images padded to a square, which featx does not do.",
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
    features: Tensor = module.forward_head(module.forward_features(x), pre_logits=True)
    return features


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
    )
