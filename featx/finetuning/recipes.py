"""Rates that suit a kind of network, where none are asked for.

Batch normalisation keeps activations in range whatever the weights do, and takes the largest steps.
Networks without it take smaller ones, and a head that is fitted already; transformers and those
that normalise layers were published with smaller ones still, and with rates that decay towards the
input.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from featx.config import FinetuneConfig
from featx.console import counted


@dataclass(frozen=True)
class NetworkKind:
    """A kind of network.

    Parameters
    ----------
    name : str
        For people.
    learning_rate : float
        Of the backbone, in steps of 32 images.
    layer_decay : float
    start : {"random", "fitted"}
        Of the head.
    """

    name: str
    learning_rate: float
    layer_decay: float
    start: str = "random"


#: Those of batch normalisation and of none are measured (docs/finetune.md). Those of layer
#: normalisation are in between the published ones, scaled to 32 images: He et al., "Masked
#: autoencoders are scalable vision learners", CVPR 2022 (5e-4 for 256 images, decay 0.65 to 0.75),
#: and Liu et al., "A ConvNet for the 2020s", CVPR 2022 (5e-5 for 512 images, decay 0.7 to 0.8).
#: That of low rank: Hu et al., "LoRA", ICLR 2022 (2e-4 to 5e-4).
KINDS = {
    "batch norm": NetworkKind("a network with batch normalisation", 5e-4, 1.0),
    "layer norm": NetworkKind("a transformer, or a network with layer normalisation", 5e-5, 0.75),
    "no norm": NetworkKind("a network without normalisation", 1e-4, 1.0, "fitted"),
    "low rank": NetworkKind("corrections of low rank", 5e-4, 1.0),
}
HEAD_RATES = {"random": 10.0, "fitted": 1.0}
_LAYER_NORMS = ("layernorm", "groupnorm", "rmsnorm", "evonorm")
_QUERIES = frozenset({"q", "qkv", "to_qkv", "q_proj", "query", "in_proj"})


def find_kind(network: nn.Module) -> NetworkKind:
    """The kind of a network, by its attention and its normalisation.

    A network with attention and batch normalisation is a transformer; of two normalisations the one
    with more layers counts.
    """
    names = [type(module).__name__.lower() for module in network.modules()]
    n_batch = sum("batchnorm" in name for name in names)
    n_layer = sum(any(norm in name for norm in _LAYER_NORMS) for name in names)
    if n_layer > n_batch or any(map(_attends, network.modules())):
        return KINDS["layer norm"]
    return KINDS["batch norm" if n_batch else "no norm"]


def _attends(module: nn.Module) -> bool:
    """Whether a module is attention between places.

    The modules of that name that weigh channels have no queries.
    """
    named = type(module).__name__.lower()
    children = {name for name, _ in module.named_children()}
    return isinstance(module, nn.MultiheadAttention) or (
        ("attention" in named or "attn" in named) and bool(children & _QUERIES)
    )


def resolve_rates(config: FinetuneConfig, network: nn.Module) -> FinetuneConfig:
    """The configuration with the rates and the start that it leaves to the kind of network."""
    kind = find_kind(network) if config.lora is None else KINDS["low rank"]
    start = config.start or kind.start
    values = {
        "learning_rate": kind.learning_rate,
        "layer_decay": kind.layer_decay,
        "start": start,
        "head_rate": HEAD_RATES[start],
    }
    missing = {k: v for k, v in values.items() if getattr(config, k) is None}
    return config.model_copy(update=missing) if missing else config


def describe_recipe(config: FinetuneConfig) -> str:
    """What is tried, in words: ``balanced preset, one recipe of 12 epochs``."""
    preset = f"{config.preset} preset, " if config.preset else ""
    searched = config.trials or (20 if config.budget else 0)
    if searched:
        return f"{preset}a search of up to {searched} recipes of up to {config.epochs} epochs"
    rate = "" if config.learning_rate is None else f" at learning rate {config.learning_rate:g}"
    trained = "" if config.unfreeze == "all" else f", {config.unfreeze} unfrozen"
    return f"{preset}one recipe of {counted(config.epochs, 'epoch')}{rate}{trained}"
