"""Building networks of the zoos whose own tensors are not wanted: for shapes, or to be filled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

_SEED = 0


def meta_network(construct: Callable[[], nn.Module]) -> nn.Module:
    """The network that ``construct`` builds, on the meta device: shapes cost nothing there.

    Some networks compute numbers while they are built (strides, widths, masks): those that cannot
    do so on the meta device get real numbers and only parameters without any, or are built as
    they are.
    """
    ways: tuple[Any, ...] = (torch.device("meta"), _parameters_on_meta())
    for way in ways:
        try:
            with way:
                return construct().to("meta")
        except Exception:  # whatever it is, the next way shows whether the network is at fault
            continue
    return random_network(construct).to("meta")


def hollow_network(construct: Callable[[], nn.Module]) -> nn.Module:
    """The network without its parameters' numbers, to be filled; masks and the like are real.

    Drawing numbers that the file's replace takes seconds. Where a network computes something from
    its parameters while it is built, it is built with random ones after all.
    """
    try:
        with _parameters_on_meta():
            module = construct()
        if not any(_unsaved_on_meta(part) for part in module.modules()):
            return module
    except Exception:  # whatever it is, the real construction shows whether the network is at fault
        pass
    return random_network(construct)


def _unsaved_on_meta(part: nn.Module) -> bool:
    """Whether a tensor without numbers is one that no file would fill."""
    unsaved = [part._buffers[name] for name in part._non_persistent_buffers_set]
    for value in vars(part).values():
        unsaved += value if isinstance(value, list | tuple) else [value]
    return any(isinstance(v, torch.Tensor) and v.device.type == "meta" for v in unsaved)


def random_network(construct: Callable[[], nn.Module]) -> nn.Module:
    """The network with random weights, the same every time."""
    with random_weights():
        return construct()


def emptied(module: nn.Module) -> nn.Module:
    """The module with every tensor of its state dictionary taken away (on the meta device).

    What a network computes for itself and does not save, as masks and indices, stays.
    """
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(parameter.to("meta"), requires_grad=False)
        for name, buffer in part._buffers.items():
            if buffer is not None and name not in part._non_persistent_buffers_set:
                part._buffers[name] = buffer.to("meta")
    return module


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Parameters of the networks built inside, by this thread, lie on the meta device."""
    mine = threading.get_ident()

    def move(_module: nn.Module, _name: str, parameter: Any) -> Any:
        if parameter is None or threading.get_ident() != mine:
            return None
        return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)

    handle = register_module_parameter_registration_hook(move)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def random_weights() -> Iterator[None]:
    """Initialise the networks built inside the same way every time, leaving the caller's RNG."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_SEED)
        yield
