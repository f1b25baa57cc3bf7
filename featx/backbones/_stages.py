"""The stages of a network, found by its own structure: where ``--layer stages`` taps it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import nn

from featx.backbones._pooling import TokenLayout, n_places
from featx.backbones._tracing import trace
from featx.errors import BackboneError

if TYPE_CHECKING:
    from torch import Tensor

    from featx.backbones._base import Network

_DEPTHS = 4  # so many blocks stand for a network whose blocks are all of one shape


def find_stages(network: Network, x: Tensor) -> list[str]:
    """Names of the modules whose outputs are the stages of ``network``, the earliest first.

    Networks of timm list their own (``feature_info``). Elsewhere the last module of each
    resolution is one. Where all blocks have one resolution, as in a vision transformer, four
    blocks at equal distances stand for the stages, the last one among them.

    Parameters
    ----------
    network : Network
        The network.
    x : Tensor
        One normalised image of the size that it is given.

    Raises
    ------
    BackboneError
        It has no maps of features and no tokens at this size.
    """
    levels = _levels(network, x)
    names = [name for name in _listed(network) if name in levels]
    if not names:
        units = set(_units(network.module, levels))
        names = [name for name in levels if name in units]
    # The last module of each resolution: a dictionary keeps the last value of a key.
    stages = list({levels[name]: name for name in names}.values())
    if len(stages) == 1:
        stages = _spread(_blocks(list(levels))) or stages
    if not stages:
        raise BackboneError(
            f"{network.name} has no stages at this input size: it outputs no feature map.",
            hint="Leave --layer out, or raise --size.",
        )
    return stages


def _levels(network: Network, x: Tensor) -> dict[str, int]:
    """Modules that give maps or patches, in the order they finish, and how many places each has."""
    layout = TokenLayout.of(network, x)
    heads = tuple(f"{head}." for head in network.heads)
    found = {}
    for name, (_, shape) in trace(network, x).items():
        if len(shape) in (3, 4) and not f"{name}.".startswith(heads):
            found[name] = n_places(shape, layout) - (len(shape) == 3) * layout.n_prefix_tokens
    return {name: places for name, places in found.items() if places > 1}


def _listed(network: Network) -> list[str]:
    """The stages that a network of timm lists itself."""
    listed = getattr(network.module, "feature_info", None) or ()
    return [str(entry["module"]) for entry in listed if isinstance(entry, dict)]


def _units(module: nn.Module, levels: Mapping[str, int], prefix: str = "") -> list[str]:
    """The modules that follow each other in a network: its blocks, not what lies in them."""
    units: list[str] = []
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        within = {levels[n] for c, _ in child.named_children() if (n := f"{path}.{c}") in levels}
        in_turn = isinstance(child, nn.Sequential) and len(within) > 1
        if path not in levels or in_turn:  # a list that is never called, or several resolutions
            units += _units(child, levels, f"{path}.")
        else:
            units.append(path)
    return units


def _blocks(names: Sequence[str]) -> list[str]:
    """The longest series of numbered modules, such as ``encoder.layers.encoder_layer_3``."""
    series: dict[str, list[str]] = {}
    for name in names:
        if found := re.fullmatch(r"(.*\D)?\d+", name):
            series.setdefault(found[1] or "", []).append(name)
    return max(series.values(), key=len, default=[])


def _spread(blocks: Sequence[str]) -> list[str]:
    """Blocks at equal distances, the last one among them."""
    n = len(blocks)
    return (
        [blocks[round((k + 1) * n / _DEPTHS) - 1] for k in range(_DEPTHS)] if n >= _DEPTHS else []
    )
