"""Taking embeddings out of a network: any named layers, pooled, in one forward pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from featx.backbones._base import Network
from featx.backbones._features import LAST_FEATURES, pool_features, vectors_agree
from featx.backbones._pooling import TokenLayout, n_places, pool
from featx.backbones._stages import find_stages
from featx.backbones._tracing import trace
from featx.backbones._unknown import unknown_name
from featx.errors import BackboneError, UnknownNameError, UsageError
from featx.types import AUTO_LAYER, PRE_LOGITS, STAGES_LAYER

POOLINGS = ("avg", "max", "avg+max", "cls", "flatten")


@dataclass(frozen=True)
class Tap:
    """One vector to take: a layer and how it is pooled.

    Parameters
    ----------
    layer : str
        Name of a module, or ``"pre-logits"``.
    pooling : str
        One of the poolings, or ``"own"`` for the backbone's own.
    """

    layer: str
    pooling: str


class _Enough(Exception):  # noqa: N818 - a signal
    """Not an error: every tap has what it needs."""


#: What a network does to a module's output before it pools it; nothing where it is None.
Transform = Callable[[Tensor], Tensor] | None

#: Who takes what passes by the hooks: threads run one network at the same time.
_taking = threading.local()


def _pass_on(tap: Tap, passing: object) -> None:
    take = getattr(_taking, "take", None)
    if take is not None:
        take(tap, passing)


# Hooks are functions of this module, so that a network can be sent to another process.
def _output_hook(
    tap: Tap, change: Transform, _module: nn.Module, _inputs: Any, output: Any
) -> None:
    _pass_on(tap, output if change is None else change(output))


def _input_hook(tap: Tap, _module: nn.Module, inputs: Any) -> None:
    _pass_on(tap, inputs)


class TappedNetwork(nn.Module):
    """A network that gives the vectors of its taps instead of logits.

    Parameters
    ----------
    network : Network
        The network and what its zoo knows of it.
    groups : tuple of tuple of Tap
        One output per group: the concatenation of its taps.

    Notes
    -----
    ``forward`` maps normalised ``(n, 3, height, width)`` to one ``(n, n_features)`` per group.
    Outputs are pooled inside the hooks, because a following in-place activation may overwrite
    them, and the pass ends as soon as the last tap has fired.
    """

    def __init__(self, network: Network, groups: tuple[tuple[Tap, ...], ...]) -> None:
        super().__init__()
        self.module = network.module
        self.groups = groups
        self.network = network
        self._taps = tuple(dict.fromkeys(tap for group in groups for tap in group))
        self._calls_left = -1  # unknown until one whole pass has counted them
        for tap in self._taps:
            self._hook(tap)
        self.eval()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Run the network once and return the pooled, concatenated taps."""
        taken: dict[Tap, Tensor] = {}
        calls = 0
        layout = TokenLayout.of(self.network, x)

        def take(tap: Tap, output: Any) -> None:
            nonlocal calls
            if tap.layer == LAST_FEATURES:
                taken[tap] = pool_features(output, tap.pooling, self.network)
            else:
                tensor = first_tensor(output, tap.layer)
                taken[tap] = pool(tensor, tap.pooling, layout, what=tap.layer)
            calls += 1
            if calls == self._calls_left:
                raise _Enough

        _taking.take = take
        try:
            with suppress(_Enough):
                self._run(x, take)
        finally:
            _taking.take = None
        self._refuse_silent(taken)
        self._calls_left = calls
        return tuple(torch.cat([taken[t] for t in group], dim=1) for group in self.groups)

    def _hook(self, tap: Tap) -> None:
        """Make ``tap`` take what passes by its module."""
        features = self.network.features
        if tap.layer == LAST_FEATURES:
            if features.layer is not None:
                layer = self.module.get_submodule(features.layer)
                layer.register_forward_hook(partial(_output_hook, tap, features.change))
        elif tap.layer != PRE_LOGITS:
            layer = self.module.get_submodule(tap.layer)
            layer.register_forward_hook(partial(_output_hook, tap, None))
        elif self.network.pre_logits is None:
            head = self.module.get_submodule(self.network.heads[0])
            head.register_forward_pre_hook(partial(_input_hook, tap))

    def _run(self, x: Tensor, take: Callable[[Tap, Any], None]) -> None:
        """One pass; the classifier is part of it only where a tap lies in it."""
        pre_logits, compute = self.network.pre_logits, self.network.features.compute
        hooked = set(self._taps)
        if compute is not None and (last := self._of(LAST_FEATURES)):
            hooked -= set(last)
            output = compute(self.module, x)
            for tap in last:
                take(tap, output)
        if hooked and (pre_logits is None or self._reaches_head()):
            self.module(x)
            hooked.clear()
        wanted = self._of(PRE_LOGITS)
        if pre_logits is not None and (wanted or hooked):
            output = pre_logits(self.module, x)
            for tap in wanted:
                take(tap, output)

    def _of(self, layer: str) -> list[Tap]:
        return [tap for tap in self._taps if tap.layer == layer]

    def _reaches_head(self) -> bool:
        return any(
            f"{t.layer}.".startswith(f"{h}.") for t in self._taps for h in self.network.heads
        )

    def _refuse_silent(self, taken: dict[Tap, Tensor]) -> None:
        for tap in self._taps:
            if tap not in taken:
                raise BackboneError(
                    f"Layer {tap.layer!r} of {self.network.name} gives no output here: its "
                    "module is not called in computing the pre-logits.",
                    hint=f"featx backbones {self.network.name} --layers lists those that are.",
                )


def first_tensor(output: Any, layer: str) -> Tensor:
    """The tensor of a module's output; attention and the like return it first in a tuple."""
    while isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, Tensor):
        raise BackboneError(f"Layer {layer!r} returns a {type(output).__name__}, not a tensor.")
    return output


def choose_taps(
    network: Network, layers: tuple[str, ...], poolings: tuple[str, ...], x: Tensor
) -> tuple[Tap, ...]:
    """The taps that a request means: every layer with every pooling.

    Parameters
    ----------
    network : Network
        The network.
    layers, poolings : tuple of str
        As in `featx.types.BackboneRequest`. Poolings without layers pool what the network itself
        calls its features: the last map, or all tokens, before its own pooling.
    x : Tensor
        One normalised image; used where the network must be run to know.

    Raises
    ------
    UnknownNameError
        A layer that the network does not have.
    UsageError
        A pooling of the pre-logits, which are one vector already.
    """
    if not layers and not poolings:
        return (Tap(PRE_LOGITS, "own"),)
    if STAGES_LAYER in layers or AUTO_LAYER in layers:
        return _stage_taps(network, layers, poolings, x)
    if not layers:
        layers = (_features_layer(network, poolings, x),)
    return tuple(
        Tap(name, own) for layer in layers for name, own in _named(network, layer, poolings)
    )


def _named(network: Network, layer: str, poolings: tuple[str, ...]) -> list[tuple[str, str]]:
    """A layer with every pooling asked for, or with its own where it is named ``layer:pooling``."""
    layer, colon, own = layer.partition(":")
    known = [name for name, _ in network.module.named_modules() if name]
    lacking = [h for h in network.fitted.without if f"{layer}.".startswith(f"{h}.")]
    if lacking:
        raise BackboneError(
            f"Layer {layer!r} of {network.name} has no weights: its file "
            f"({network.weights_file}) has no classifier {lacking[0]!r}.",
            hint="Name a layer before it, or leave --layer out for the pre-logits.",
        )
    if layer not in (*known, PRE_LOGITS, LAST_FEATURES):
        raise unknown_name(
            f"layer of {network.name}",
            layer,
            [*known, PRE_LOGITS, LAST_FEATURES],
            command=f"featx backbones {network.name} --layers",
        )
    if colon and own not in POOLINGS:
        raise UnknownNameError(f"pooling of layer {layer!r}", own, POOLINGS)
    if layer == PRE_LOGITS and (colon or poolings):
        raise UsageError(
            f"Pooling {own or poolings[0]!r} of the pre-logits of {network.name}: they are "
            "already one vector.",
            hint="Leave --pooling out, or name the layer to pool with --layer.",
        )
    return [(layer, pooling) for pooling in ([own] if colon else poolings or ["own"])]


def _stage_taps(
    network: Network, layers: tuple[str, ...], poolings: tuple[str, ...], x: Tensor
) -> tuple[Tap, ...]:
    """Every stage with every pooling; after them the pre-logits, which need none, for ``auto``."""
    if len(layers) > 1:
        raise UsageError(
            f"--layer {' --layer '.join(layers)}: {STAGES_LAYER!r} and {AUTO_LAYER!r} cannot be "
            "combined with other layers.",
            hint="Give only one of them, or name the layers yourself.",
        )
    stages = find_stages(network, x)
    asked = poolings or ("avg",)
    if AUTO_LAYER in layers:  # the stages of one pooling lie together, as they compete together
        auto = [Tap(name, pooling) for pooling in asked for name in stages]
        return (*auto, Tap(PRE_LOGITS, "own"))
    return tuple(Tap(name, pooling) for name in stages for pooling in asked)


def _features_layer(network: Network, poolings: tuple[str, ...], x: Tensor) -> str:
    """The layer that gives the network's features: a module's name where one gives just them.

    Embeddings of earlier versions are known by the last module whose output has places. Where
    that is right, which one pass over noise shows, it keeps its name, and they stay valid.
    """
    features = network.features
    if features.compute is None:
        whole = features.layer is not None and features.change is None
        return str(features.layer) if whole else LAST_FEATURES
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    seen: list[Tensor] = []
    name = _last_with_places(network, x)
    with ExitStack() as hooks, torch.inference_mode():
        if name is not None:
            handle = network.module.get_submodule(name).register_forward_hook(
                lambda _module, _inputs, output: seen.append(first_tensor(output, "").clone())
            )
            hooks.callback(handle.remove)
        output = features.compute(network.module, noise)
        if name is not None and not seen:  # it is called in a whole pass only
            network.module(noise)
    for pooling in poolings:
        pool_features(output, pooling, network)  # refuses what makes no sense
    kinds = {"avg", "max", *({"cls"} & set(poolings))}
    same = bool(seen) and _pools_alike(seen[-1], output, kinds, network, noise)
    return str(name) if same else LAST_FEATURES


def _pools_alike(
    found: Tensor, output: Tensor, kinds: set[str], network: Network, x: Tensor
) -> bool:
    """Whether a layer's output is pooled as the network's features are."""
    layout = TokenLayout.of(network, x)
    try:
        return all(
            vectors_agree(pool(found, kind, layout, what=""), pool_features(output, kind, network))
            for kind in kinds
        )
    except BackboneError:  # of a pooling that makes no sense for one of them
        return False


def _last_with_places(network: Network, x: Tensor) -> str | None:
    """Name of the last module whose output still has places: a map or a sequence of tokens."""
    layout = TokenLayout.of(network, x)
    maps = [
        name
        for name, (_, shape) in trace(network, x).items()
        if len(shape) in (3, 4) and n_places(shape, layout) > 1
    ]
    return maps[-1] if maps else None
