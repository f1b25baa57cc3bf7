"""Which modules a pass through a network calls, and the shapes of what they give."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from featx.backbones._base import Network


def call_for_shapes(module: nn.Module, x: Tensor) -> Any:
    """Call ``module`` on ``x`` where only the shapes of what comes out matter.

    Weights and input are replaced by twins on the meta device, where computing costs nothing;
    a network that looks at numbers on its way is called as it is.
    """
    tensors = [*module.named_parameters(), *module.named_buffers()]
    twins = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    with torch.inference_mode():
        try:  # tying would swap a module with two names twice, and leave its twins in it
            return torch.func.functional_call(module, twins, (x.to("meta"),), tie_weights=False)
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
