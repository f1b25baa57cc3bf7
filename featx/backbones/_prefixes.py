"""Prefixes that training loops and wrappers put before the names of a network's tensors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from torch import Tensor

#: Names that torch's wrappers put anywhere into a tensor's name, and no network has.
_INFIXES = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
#: Attributes in which trainers keep a network whose own layout is another, for a zoo to convert.
_WRAPPERS = {
    *("module", "model", "backbone", "encoder", "net", "network", "base_model", "trunk", "body"),
    *("student", "teacher", "ema", "ema_model", "model_ema", "base_encoder", "feature_extractor"),
    *("encoder_q", "encoder_k", "momentum_encoder", "online_encoder", "target_encoder", "learner"),
    *("_forward_module", "image_encoder", "visual", "0"),
}
_DEEPEST = 4

#: Tensors, the prefix taken off their names, and the names of the others.
Under = tuple[dict[str, Tensor], str, list[str]]


def under_prefixes(
    state: Mapping[str, Tensor], wanted: Collection[str], heads: tuple[str, ...]
) -> Iterator[Under]:
    """The tensors under each prefix that may stand before a network's own names.

    Parameters
    ----------
    state : mapping of str to Tensor
        A file's tensors.
    wanted : collection of str
        Names of the network's.
    heads : tuple of str
        Modules that a file may lack.
    """
    bare: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for infix in _INFIXES:
            name = name.replace(f".{infix}", ".")  # at the beginning it is a prefix like others
        bare[name] = tensor
    if len(bare) == len(state) and bare.keys() != state.keys():
        yield bare, "", []
    for prefix in _prefixes(bare, wanted, heads):
        found = {k.removeprefix(prefix): v for k, v in bare.items() if k.startswith(prefix)}
        yield found, prefix, [k for k in bare if not k.startswith(prefix)]


def _prefixes(names: Collection[str], wanted: Collection[str], heads: tuple[str, ...]) -> list[str]:
    """What stands before a network's own names, or consists of wrappers' attributes."""
    needed = [k for k in wanted if not any(k.startswith(f"{head}.") for head in heads)]
    anchor = "." + max(needed, key=len, default="")
    found = {name[: 1 - len(anchor)] for name in names if name.endswith(anchor)}
    for name in names:
        parts = name.split(".")[:-1]
        for depth, part in enumerate(parts[:_DEEPEST], start=1):
            if part not in _WRAPPERS:
                break
            found.add(".".join(parts[:depth]) + ".")
    return sorted(found)
