"""Pooling a layer's output into one vector per image, whatever its layout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from featx.errors import BackboneError

if TYPE_CHECKING:
    from featx.backbones._base import Network


@dataclass(frozen=True)
class TokenLayout:
    """What decides how a layer's output is read.

    Parameters
    ----------
    aspect : float
        Height over width of the network's input; maps keep it.
    n_prefix_tokens, has_cls_token, token_pooling, channels_last
        See `featx.backbones._base.Network`.
    name : str
        The backbone's name, for messages.
    """

    aspect: float
    n_prefix_tokens: int
    has_cls_token: bool
    token_pooling: str
    channels_last: bool
    name: str

    @classmethod
    def of(cls, network: Network, x: Tensor) -> TokenLayout:
        """The layout of what ``network`` makes of ``x``."""
        return cls(
            aspect=x.shape[2] / x.shape[3],
            n_prefix_tokens=network.n_prefix_tokens,
            has_cls_token=network.has_cls_token,
            token_pooling=network.token_pooling,
            channels_last=network.channels_last,
            name=network.name,
        )


def pool(x: Tensor, pooling: str, layout: TokenLayout, *, what: str) -> Tensor:
    """Pool ``x`` into ``(n, n_features)``; never a view of it.

    Parameters
    ----------
    x : Tensor
        ``(n, features)``, ``(n, tokens, channels)``, ``(n, channels, height, width)`` or
        ``(n, height, width, channels)``.
    pooling : {"own", "avg", "max", "avg+max", "cls", "flatten"}
        ``avg+max`` is the average followed by the maximum, twice as wide. Class and register
        tokens take no part in ``avg`` and ``max``. ``own`` is the backbone's own for tokens and
        ``avg`` for maps.
    layout : TokenLayout
        How to read ``x``.
    what : str
        Name of the layer, for messages.

    Raises
    ------
    BackboneError
        The pooling is not possible for such an output.
    """
    if x.ndim == 2:
        return _vector(x, pooling, layout, what)
    if x.ndim not in (3, 4):
        raise BackboneError(
            f"Layer {what!r} of {layout.name} gives {x.ndim - 1} dimensions an image, shape "
            f"{tuple(x.shape[1:])}; maps (3), tokens (2) and vectors (1) can be pooled."
        )
    if pooling == "flatten":
        return x.flatten(1).clone()
    if x.ndim == 3:
        if pooling == "own":
            pooling = layout.token_pooling if _has_prefix(x, layout) else "avg"
        if pooling == "cls":
            return _cls(x, layout, what)
        places = x[:, layout.n_prefix_tokens :] if _has_prefix(x, layout) else x
    else:
        if pooling == "cls":
            raise _no_cls(layout, what, "is a map of features")
        channels_last = _is_channels_last(x.shape, layout)
        places = (x if channels_last else x.permute(0, 2, 3, 1)).flatten(1, 2)
    return reduce_places(places, pooling)


def reduce_places(places: Tensor, pooling: str) -> Tensor:
    """Average, maximum or both of ``(n, places, channels)`` over the places."""
    if pooling == "max":
        return places.amax(dim=1)
    if pooling == "avg+max":
        return torch.cat([places.mean(dim=1), places.amax(dim=1)], dim=1)
    return places.mean(dim=1)


def _vector(x: Tensor, pooling: str, layout: TokenLayout, what: str) -> Tensor:
    if pooling in ("own", "flatten"):
        return x.clone()
    raise BackboneError(
        f"Pooling {pooling!r} of layer {what!r} of {layout.name}: its output is already one "
        f"vector of {x.shape[1]}.",
        hint="Leave --pooling out for this layer.",
    )


def _cls(x: Tensor, layout: TokenLayout, what: str) -> Tensor:
    if not layout.has_cls_token or not _has_prefix(x, layout):
        raise _no_cls(layout, what, "has no class token")
    return x[:, 0].clone()


def _no_cls(layout: TokenLayout, what: str, why: str) -> BackboneError:
    return BackboneError(
        f"Pooling 'cls' of layer {what!r} of {layout.name}: it {why}.",
        hint="Use --pooling avg, max or avg+max.",
    )


def _has_prefix(x: Tensor, layout: TokenLayout) -> bool:
    """Whether the tokens begin with class and register tokens; some layers have only patches."""
    if layout.n_prefix_tokens == 0:
        return False
    return grid(x.shape[1] - layout.n_prefix_tokens, layout) is not None


def as_places(x: Tensor, layout: TokenLayout) -> tuple[tuple[int, int], Tensor] | None:
    """Rows and columns of the grid that ``x`` lies on, and ``x`` as (n, places, channels).

    Class and register tokens are left out. None where ``x`` is neither a map nor a grid of tokens.
    """
    if x.ndim == 4:
        places = x if _is_channels_last(x.shape, layout) else x.permute(0, 2, 3, 1)
        return (places.shape[1], places.shape[2]), places.flatten(1, 2)
    if x.ndim != 3:
        return None
    tokens = x[:, layout.n_prefix_tokens :] if _has_prefix(x, layout) else x
    shape = grid(tokens.shape[1], layout)
    return None if shape is None else (shape, tokens)


def grid(n_tokens: int, layout: TokenLayout) -> tuple[int, int] | None:
    """Rows and columns of so many patches; None where they are not all of a grid."""
    rows = round(math.sqrt(max(n_tokens, 0) * layout.aspect))
    columns = round(math.sqrt(max(n_tokens, 0) / layout.aspect))
    return (rows, columns) if n_tokens > 0 and rows * columns == n_tokens else None


def n_places(shape: Sequence[int], layout: TokenLayout) -> int:
    """Number of places of a map ``(n, ., ., .)`` or of tokens ``(n, tokens, channels)``."""
    if len(shape) == 3:
        return shape[1]
    return shape[1] * shape[2] if _is_channels_last(shape, layout) else shape[2] * shape[3]


def _is_channels_last(shape: Sequence[int], layout: TokenLayout) -> bool:
    """Whether the two dimensions shaped like the image come first."""
    _, a, b, c = shape
    first = abs(math.log(a / b / layout.aspect))
    last = abs(math.log(b / c / layout.aspect))
    return layout.channels_last if math.isclose(first, last) else first < last
