"""What timm does to a file's tensors before it loads them: the filter of each family.

timm builds a network and loads it in one go, and is lenient there: for some families nothing
needs to fit. Its builder's ``load_pretrained``, a private function, is the one place where the
family's filter and leniency can be seen; it is replaced while a network is built, so that timm
loads nothing and featx loads everything. tests/backbones/test_fitting.py would notice a timm where
this is no longer so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import timm
import timm.models._builder as builder
from torch import Tensor, nn

from featx.backbones._building import hollow_network, random_network
from featx.backbones._weights import State

_replacing = threading.Lock()


@dataclass(frozen=True)
class Loading:
    """How timm would load a network.

    Parameters
    ----------
    filter : callable, optional
        From the file's tensors and the network to the network's tensors.
    lenient : bool
        Whether timm tolerates tensors that are missing or left over.
    label_offset : int
        Rows that the file's classifier has more, at its beginning.
    """

    filter: Callable[..., State] | None
    lenient: bool
    label_offset: int

    def convert(self, state: State, module: nn.Module, heads: tuple[str, ...]) -> State:
        """The tensors as the network names and shapes them; raises what the filter raises."""
        state = dict(state)
        if self.filter is not None:
            try:
                state = dict(self.filter(state, module))
            except TypeError:  # some take the tensors alone
                state = dict(self.filter(state))
        if self.label_offset:
            for key in state:
                if key.rpartition(".")[0] in heads:
                    state[key] = state[key][self.label_offset :]
        wanted = module.state_dict()
        return {k: _as(v, wanted.get(k, v)) for k, v in state.items()}


def _as(tensor: Tensor, wanted: Tensor) -> Tensor:
    """The tensor in the type that is wanted; whole numbers stay whole."""
    is_kin = tensor.is_floating_point() == wanted.is_floating_point()
    return tensor.to(wanted.dtype) if is_kin else tensor


def build_unloaded(model: str, arguments: dict[str, Any]) -> tuple[nn.Module, Loading]:
    """A network of timm to be filled, and how timm would load a file into it.

    Where timm tolerates missing tensors, the network has random ones; else it may have none.
    """
    seen: list[Loading] = []

    def note(_module: nn.Module, *, pretrained_cfg: dict[str, Any], **options: Any) -> None:
        offset = pretrained_cfg.get("label_offset") or 0
        seen.append(Loading(options.get("filter_fn"), not options.get("strict", True), offset))

    def construct() -> nn.Module:
        overlay = {"state_dict": {"": None}, "custom_load": False}
        with _noting(note):
            module: Any = timm.create_model(
                model, pretrained=True, pretrained_cfg_overlay=overlay, **arguments
            )
        module.pretrained_cfg.pop("state_dict", None)
        return cast(nn.Module, module)

    module = hollow_network(construct)
    if seen[-1].lenient:
        module = random_network(construct)
    return module, seen[-1]


@contextmanager
def _noting(note: Callable[..., None]) -> Iterator[None]:
    """``load_pretrained`` calls ``note`` instead, in this thread."""
    mine = threading.get_ident()
    with _replacing:
        original = builder.load_pretrained

        def instead(*arguments: Any, **options: Any) -> None:
            (note if threading.get_ident() == mine else original)(*arguments, **options)

        builder.load_pretrained = instead
        try:
            yield
        finally:
            builder.load_pretrained = original
