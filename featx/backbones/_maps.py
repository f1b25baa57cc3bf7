"""Where in an image an embedding comes from: maps of features before they are pooled, attention.

The maps are checked against the embedding itself: pooled again, they must give it. A
norm or a layer after pooling fails that, and nothing is made up for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from featx.backbones._features import LAST_FEATURES
from featx.backbones._pooling import TokenLayout, as_places, grid, n_places
from featx.backbones._taps import Tap, TappedNetwork, first_tensor
from featx.backbones._tracing import call_for_shapes, trace
from featx.types import PRE_LOGITS

NEAR = 1e-3  # of its length, that an embedding and the maps pooled again may differ by
TRIED = 4  # layers from the end that may be what a backbone pools itself

#: A layer's name, how often it was called before in the pass, what is done to its output, and how
#: that is pooled.
PooledSource = tuple[str, int, Callable[[Tensor], Tensor], str]
#: Rows and columns of a grid, values (n, places, channels), and how they are pooled.
MapPart = tuple[tuple[int, int], Tensor, str]


def pooled_sources(tapped: TappedNetwork, output: int, x: Tensor) -> list[PooledSource] | None:
    """The layers that an embedding is pooled from; None where it is no pooling over places.

    Parameters
    ----------
    tapped : TappedNetwork
    output : int
        Which of its outputs.
    x : Tensor
        Normalised images (n, 3, height, width); the first is tried.
    """
    for sources in _candidates(tapped, output, x[:1]):
        made = _pass(tapped, output, x[:1], sources)
        if made is not None:
            return sources
    return None


def class_activation(
    tapped: TappedNetwork,
    output: int,
    x: Tensor,
    directions: Tensor,
    sources: Sequence[PooledSource],
) -> list[Tensor] | None:
    """What each place of an image adds along a direction in the space of its embedding.

    Parameters
    ----------
    tapped, output, x
        See `pooled_sources`, which gives ``sources``.
    directions : Tensor
        float64 (n, n_features): one for each image.
    sources : sequence of PooledSource

    Returns
    -------
    list of Tensor of shape (n, rows, columns), float64, or None
        One for each part of the embedding, each on its own grid over the input. All together sum
        to the product of embedding and direction. None where the layers do not pool to the
        embedding after all.

    Notes
    -----
    Zhou et al., "Learning deep features for discriminative localization", CVPR 2016,
    https://arxiv.org/abs/1512.04150. A maximum belongs to the place that has it, the first of
    equals.
    """
    parts = _pass(tapped, output, x, sources)
    if parts is None:
        return None
    maps, start = [], 0
    for shape, values, kind in parts:
        stop = start + values.shape[2]
        shares = _shares(values, kind, directions[:, start:stop])
        maps.append(shares.reshape(len(shares), *shape))
        start = stop
    return maps


def _pass(
    tapped: TappedNetwork, output: int, x: Tensor, sources: Sequence[PooledSource]
) -> list[MapPart] | None:
    """The parts of the embeddings as places; None where they do not pool to the embeddings."""
    with torch.no_grad(), _watching(tapped.module, {s[0] for s in sources}) as seen:
        embedding = tapped(x)[output].double()
    parts = _parts(sources, seen, TokenLayout.of(tapped.network, x))
    if not parts:
        return None
    made = torch.cat([v.mean(1) if k == "avg" else v.amax(1) for _, v, k in parts], dim=1)
    if made.shape != embedding.shape:
        return None
    off = (made - embedding).norm(dim=1)
    return parts if bool((off <= NEAR * embedding.norm(dim=1).clamp(min=1e-12)).all()) else None


def _candidates(tapped: TappedNetwork, output: int, x: Tensor) -> Iterator[list[PooledSource]]:
    """What the embedding may be made of; a pass says which is true."""
    network, taps = tapped.network, tapped.groups[output]
    features, computed = network.features, {PRE_LOGITS}
    if features.compute is not None:
        computed.add(LAST_FEATURES)
    if not any(tap.layer in computed for tap in taps):
        change = features.change or nn.Identity()
        yield [
            (str(features.layer), 0, change, tap.pooling)
            if tap.layer == LAST_FEATURES
            else (tap.layer, 0, nn.Identity(), tap.pooling)
            for tap in taps
        ]
        return
    if len(taps) > 1:
        return
    layers = getattr(network.pre_logits, "layers", None)
    if layers is not None:  # a pyramid; it sees the smallest size first
        n = len(network.pre_logits.sizes_px)  # type: ignore[union-attr]
        yield [(name, n - 1 - i, nn.Identity(), "avg") for i in range(n) for name in layers]
        return
    layout = TokenLayout.of(network, x)
    width = call_for_shapes(tapped, x)[output].shape[1]
    if taps[0].pooling == "avg+max":
        width //= 2
    maps = [
        name
        for name, (_, shape) in trace(network, x).items()
        if len(shape) in (3, 4) and n_places(shape, layout) > 1 and width in shape[1:]
    ]
    for name in maps[: -TRIED - 1 : -1]:
        for change in (nn.Identity(), nn.ReLU()):  # some networks have the last one as a function
            yield [(name, 0, change, "avg" if taps[0].pooling == "own" else taps[0].pooling)]


def _parts(
    sources: Sequence[PooledSource], seen: dict[str, list[Tensor]], layout: TokenLayout
) -> list[MapPart] | None:
    """What was seen, as places in the order of the embedding's columns."""
    parts: list[MapPart] = []
    for name, call, change, pooling in sources:
        places = as_places(change(seen[name][call]), layout) if len(seen[name]) > call else None
        kinds = ("avg" if pooling == "own" else pooling).split("+")
        if places is None or not {"avg", "max"}.issuperset(kinds):
            return None
        parts += [(*places, kind) for kind in kinds]
    return parts


def _shares(values: Tensor, kind: str, directions: Tensor) -> Tensor:
    """What each place adds (n, places); values are (n, places, channels)."""
    if kind == "avg":
        return (values @ directions.unsqueeze(2)).squeeze(2) / values.shape[1]
    pooled, place = values.max(dim=1)
    shares = torch.zeros(values.shape[:2], dtype=values.dtype)
    return shares.scatter_add_(1, place, pooled * directions)


@contextmanager
def _watching(module: nn.Module, names: set[str]) -> Iterator[dict[str, list[Tensor]]]:
    """Copies of what some layers give, call by call, while the block runs."""
    seen: dict[str, list[Tensor]] = {name: [] for name in names}

    def keep(name: str, passing: Any) -> None:
        seen[name].append(first_tensor(passing, name).double())  # a copy: it may be overwritten

    with ExitStack() as hooks:
        for name in names:
            handle = module.get_submodule(name).register_forward_hook(
                lambda _module, _inputs, output, name=name: keep(name, output), prepend=True
            )
            hooks.callback(handle.remove)
        yield seen


def roll_out(tapped: TappedNetwork, output: int, x: Tensor) -> Tensor | None:
    """Attention from the image's places to the embedding, through all blocks of a transformer.

    Parameters
    ----------
    tapped, output, x
        See `class_activation`.

    Returns
    -------
    Tensor of shape (n, rows, columns), float64, or None
        Shares of all tokens' attention; the rest fell on tokens that are no places. The same for
        every class. None where the network is no transformer whose tokens all see each other.

    Notes
    -----
    Abnar and Zuidema, "Quantifying attention flow in transformers", ACL 2020,
    https://arxiv.org/abs/2005.00928: heads averaged, half of each block's weight on the residual
    path.
    """
    network = tapped.network
    if tapped.groups[output] != (Tap(PRE_LOGITS, "own"),):
        return None
    with torch.no_grad(), _attending(network.module) as attention:
        tapped(x)
    sizes = {weights.shape[-2:] for weights in attention}
    if len(sizes) != 1:
        return None
    [(n_from, n_to)] = sizes
    shape = grid(n_to - network.n_prefix_tokens, TokenLayout.of(network, x))
    if n_from != n_to or shape is None:
        return None
    flow = torch.eye(n_to, dtype=torch.float64).expand(len(x), -1, -1)
    for weights in attention:
        flow = (weights + torch.eye(n_to, dtype=torch.float64)) / 2 @ flow
    first = network.n_prefix_tokens
    row = flow[:, 0] if network.token_pooling == "cls" else flow[:, first:].mean(dim=1)
    return row[:, first:].reshape(len(x), *shape)


@contextmanager
def _attending(module: nn.Module) -> Iterator[list[Tensor]]:
    """Attention (n, tokens, tokens) of each block, averaged over heads, while the block runs."""
    seen: list[Tensor] = []

    def keep(weights: Tensor | None) -> None:
        if weights is not None:
            seen.append(weights.double().mean(dim=1) if weights.ndim == 4 else weights.double())

    def ask(_module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, "need_weights": True, "average_attn_weights": True}

    with ExitStack() as after:
        for part in module.modules():
            if isinstance(part, nn.MultiheadAttention):
                after.callback(part.register_forward_pre_hook(ask, with_kwargs=True).remove)
                handle = part.register_forward_hook(lambda _m, _i, output: keep(output[1]))
                after.callback(handle.remove)
            elif isinstance(drop := getattr(part, "attn_drop", None), nn.Module):
                if getattr(part, "fused_attn", False):  # a fused kernel keeps the weights inside
                    part.fused_attn = False  # type: ignore[assignment]
                    after.callback(setattr, part, "fused_attn", True)
                handle = drop.register_forward_pre_hook(lambda _m, inputs: keep(inputs[0]))
                after.callback(handle.remove)
        yield seen
