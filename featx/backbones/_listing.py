"""What there is to choose from: backbones by name, and the layers of one."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

from featx import console
from featx.backbones._base import BackboneInfo, LayerInfo, Source
from featx.backbones._loading import SOURCES, parse_name
from featx.backbones._unknown import names_holding
from featx.types import PRE_LOGITS

_MEASURED = 50  # more rows than this are listed without widths: measuring takes 0.2 s each


@console.stage("Reading the list of backbones")
def list_backbones(filter: str | None = None, *, limit: int | None = None) -> list[BackboneInfo]:
    """List the backbones that can be named.

    Parameters
    ----------
    filter : str, optional
        Part of a name, words of it in their order, or a pattern with ``*``; None lists all. One
        that begins with a source and a colon asks only this source.
    limit : int, optional
        Most rows to return; None for all.

    Returns
    -------
    list of BackboneInfo
        featx's own first. Width and parameters are measured when there are at most 50 rows.
    """
    rows = [
        (row, source, name)
        for prefix, source, name in _matching(filter)[:limit]
        if (row := SOURCES.ask(prefix, partial(source.info, name))) is not None
    ]
    if len(rows) > _MEASURED:
        return [row for row, _, _ in rows]
    return [_measured(row, source, name) for row, source, name in rows]


def count_backbones(filter: str | None = None) -> int:
    """How many backbones `list_backbones` lists without a limit."""
    return len(_matching(filter))


def _matching(filter: str | None) -> list[tuple[str, Source, str]]:
    pattern = filter or "*"
    if not any(c in pattern for c in "*?["):
        pattern = f"{pattern}*" if ":" in pattern else f"*{pattern}*"
    prefix, colon, _ = pattern.partition(":")
    one = bool(colon) and prefix in SOURCES.names()
    sources: list[tuple[str, Source]]
    sources = [(prefix, SOURCES.get(prefix))] if one else list(SOURCES.working())
    named = {
        f"{prefix}:{name}": (prefix, s, name)
        for prefix, s in sources
        for name in SOURCES.ask(prefix, s.names) or ()
    }
    found = [full for full in named if fnmatchcase(full, pattern)]
    if not found and pattern != filter:  # a part of a name, in other words than the zoo's
        part = filter.partition(":")[2] if filter and one else filter
        found = names_holding(part or "", list(named))
    return [named[full] for full in found]


def _measured(row: BackboneInfo, source: Source, name: str) -> BackboneInfo:
    """The row with the width and parameters of the network, taken on the meta device."""
    import torch

    from featx.backbones._taps import Tap, TappedNetwork
    from featx.backbones._tracing import call_for_shapes

    try:
        network = source.sketch(name)
        network.module.eval()
        x = torch.empty(1, 3, *network.preprocess.size_px, device="meta")
        (vector,) = call_for_shapes(TappedNetwork(network, ((Tap(PRE_LOGITS, "own"),),)), x)
    except Exception:  # some networks compute with real numbers while being built
        return row
    n_parameters = sum(p.numel() for p in network.module.parameters())
    return replace(row, n_features=vector.shape[1], n_parameters=n_parameters)


def list_layers(name: str) -> list[LayerInfo]:
    """List the layers of a backbone that can be taken, in the order they are computed.

    Parameters
    ----------
    name : str
        Full name of the backbone; its weights are not needed.

    Returns
    -------
    list of LayerInfo
        With the shape of each output for one image at the weights' own size.
    """
    import torch

    from featx.backbones._tracing import trace

    source, rest = parse_name(name)
    network = source.sketch(rest)
    network.module.eval()
    x = torch.empty(1, 3, *network.preprocess.size_px, device="meta")
    return [
        LayerInfo(layer, type(module).__name__, shape[1:])
        for layer, (module, shape) in trace(network, x).items()
    ]
