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
from featx.backbones._pooling import Layout, n_places, pool
from featx.backbones._unknown import unknown_name
from featx.errors import BackboneError, UsageError

__all__ = ["PRE_LOGITS", "Tap", "TappedNetwork", "call_for_shapes", "choose_taps", "trace"]

PRE_LOGITS = "pre-logits"


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


class _Enough(Exception):
    """Not an error: every tap has what it needs."""


#: Who takes what passes by the hooks: threads run one network at the same time.
_taking = threading.local()


def _pass_on(tap: Tap, passing: object) -> None:
    take = getattr(_taking, "take", None)
    if take is not None:
        take(tap, first_tensor(passing, tap.layer))


# Hooks are functions of this module, so that a network can be sent to another process.
def _output_hook(tap: Tap, _module: nn.Module, _inputs: Any, output: Any) -> None:
    _pass_on(tap, output)


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
        layout = Layout.of(self.network, x)

        def take(tap: Tap, tensor: Tensor) -> None:
            nonlocal calls
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
        if tap.layer != PRE_LOGITS:
            layer = self.module.get_submodule(tap.layer)
            layer.register_forward_hook(partial(_output_hook, tap))
        elif self.network.pre_logits is None:
            head = self.module.get_submodule(self.network.heads[0])
            head.register_forward_pre_hook(partial(_input_hook, tap))

    def _run(self, x: Tensor, take: Callable[[Tap, Tensor], None]) -> None:
        """One pass; the classifier is part of it only where a tap lies in it."""
        pre_logits = self.network.pre_logits
        if pre_logits is None or self._reaches_head():
            self.module(x)
        wanted = [tap for tap in self._taps if tap.layer == PRE_LOGITS]
        if pre_logits is not None and (wanted or not self._reaches_head()):
            output = pre_logits(self.module, x)
            for tap in wanted:
                take(tap, output)

    def _reaches_head(self) -> bool:
        return any(
            f"{t.layer}.".startswith(f"{h}.") for t in self._taps for h in self.network.heads
        )

    def _refuse_silent(self, taken: dict[Tap, Tensor]) -> None:
        for tap in self._taps:
            if tap not in taken:
                raise BackboneError(
                    f"Layer {tap.layer!r} of {self.network.name} gives nothing here: "
                    "its module is not called on the way to the pre-logits.",
                    hint=f"featx backbones {self.network.name} --layers lists those that are.",
                )


def first_tensor(output: Any, layer: str) -> Tensor:
    """The tensor of a module's output; attention and the like return it first in a tuple."""
    while isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, Tensor):
        raise BackboneError(f"Layer {layer!r} returns a {type(output).__name__}, not a tensor.")
    return output


def call_for_shapes(module: nn.Module, x: Tensor) -> Any:
    """Call ``module`` on ``x`` where only the shapes of what comes out matter.

    Weights and input are replaced by twins on the meta device, where computing costs nothing;
    a network that looks at numbers on its way is called as it is.
    """
    tensors = [*module.named_parameters(), *module.named_buffers()]
    twins = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    with torch.inference_mode():
        try:
            return torch.func.functional_call(module, twins, (x.to("meta"),))
        except Exception:  # whatever it is, the real call repeats it
            return module(x)


def trace(network: Network, x: Tensor) -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Every module that a pass calls, by name, in the order they finish, and its output's shape."""
    seen: dict[str, tuple[nn.Module, tuple[int, ...]]] = {}

    def note(name: str, module: nn.Module, output: Any) -> None:
        if isinstance(output, tuple | list) and output:
            output = output[0]
        if isinstance(output, Tensor):
            seen.pop(name, None)
            seen[name] = (module, tuple(output.shape))

    with ExitStack() as hooks:
        for name, module in network.module.named_modules():
            if name:
                handle = module.register_forward_hook(
                    lambda module, _inputs, output, name=name: note(name, module, output)
                )
                hooks.callback(handle.remove)
        call_for_shapes(network.module, x)
    return seen


def choose_taps(
    network: Network, layers: tuple[str, ...], poolings: tuple[str, ...], x: Tensor
) -> tuple[Tap, ...]:
    """The taps that a request means: every layer with every pooling.

    Parameters
    ----------
    network : Network
        The network.
    layers, poolings : tuple of str
        As in `featx.types.BackboneRequest`. Poolings without layers pool the last map of
        features (or sequence of tokens) before the pre-logits.
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
    if not layers:
        layers = (_last_map(network, x),)
    known = [name for name, _ in network.module.named_modules() if name]
    for layer in layers:
        if layer != PRE_LOGITS and layer not in known:
            raise unknown_name(
                f"layer of {network.name}",
                layer,
                [*known, PRE_LOGITS],
                command=f"featx backbones {network.name} --layers",
            )
        if layer == PRE_LOGITS and poolings:
            raise UsageError(
                f"Pooling {poolings[0]!r} of the pre-logits of {network.name}: "
                "they are one vector already.",
                hint="Leave --pooling out, or name the layer to pool with --layer.",
            )
    return tuple(Tap(layer, pooling) for layer in layers for pooling in poolings or ("own",))


def _last_map(network: Network, x: Tensor) -> str:
    """Name of the last module whose output still has places: a map or a sequence of tokens."""
    layout = Layout.of(network, x)
    maps = [
        name
        for name, (_, shape) in trace(network, x).items()
        if len(shape) in (3, 4) and n_places(shape, layout) > 1
    ]
    if not maps:
        raise BackboneError(
            f"{network.name} has no map of features to pool at this input size.",
            hint="Leave --pooling out, or raise --size.",
        )
    return maps[-1]
