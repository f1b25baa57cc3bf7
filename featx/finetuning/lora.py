"""Attention trained through corrections of low rank, its weights frozen.

Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022,
https://arxiv.org/abs/2106.09685, with alpha equal to the rank. The correction is a parametrisation
of the weight itself, so that it counts wherever the network takes the weight from, and merging it
is one addition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featx.config import FinetuneConfig
from featx.errors import UsageError
from featx.finetuning.classifier import NetworkClassifier
from featx.finetuning.unfreezing import NetworkStage, Unfreezing, find_stages
from featx.types import Preprocess

_JOINED = "in_proj_weight"  # of torch's own attention: query, key and value


class LowRank(nn.Module):
    """``weight + up @ down``; at first ``up`` is zero.

    Parameters
    ----------
    weight : Tensor of shape (n_out, n_in)
    rank : int
        At most the smaller side counts.
    generator : torch.Generator
        Of ``down``, uniform within ``1 / sqrt(n_in)``.
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        n_out, n_in = weight.shape
        rank = min(rank, n_out, n_in)
        down = (2 * torch.rand(rank, n_in, generator=generator) - 1) / math.sqrt(n_in)
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(torch.zeros(n_out, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """The corrected weight."""
        with torch.autocast(weight.device.type, enabled=False):
            return weight + self.up @ self.down


def freeze(
    classifier: NetworkClassifier, preprocess: Preprocess, config: FinetuneConfig, seed: int
) -> Unfreezing:
    """Freeze all but what is ever trained: stages of the network, or their corrections.

    Raises
    ------
    UsageError
        There are fewer stages than ``config.unfreeze`` asks for; see `adapt`.
    """
    stages = find_stages(classifier, preprocess.size_px)
    if config.lora is not None:
        stages = adapt(stages, config, seed)
    decay = 1.0 if config.layer_decay is None else config.layer_decay
    head_rate = float(config.head_rate or 1)
    unfreezing = Unfreezing(stages, config.unfreeze, config.epochs, decay, head_rate)
    classifier.requires_grad_(False)
    unfreezing.apply(config.epochs)
    return unfreezing


def adapt(stages: list[NetworkStage], config: FinetuneConfig, seed: int) -> list[NetworkStage]:
    """Give attention its corrections; those are then all that stages of the backbone can train.

    Parameters
    ----------
    stages : list of NetworkStage
        From `featx.finetuning.unfreezing.find_stages`, the head last.
    config : FinetuneConfig
        With ``lora``.
    seed : int

    Raises
    ------
    UsageError
        The backbone has no attention with linear layers, or only the head is trained.
    """
    if config.unfreeze == "head":
        raise UsageError(
            "--lora adapts the backbone, but --unfreeze head trains none of it.",
            hint="Give --unfreeze all, gradual or last-N, or leave --lora out.",
        )
    generator = torch.Generator().manual_seed(seed)
    *backbone, head = stages
    adapted = []
    for stage in backbone:
        parameters = []
        for name, module, weight in list(_attention(stage)):
            low = LowRank(getattr(module, weight), int(config.lora or 0), generator)
            parametrize.register_parametrization(module, weight, low)
            parameters += [(f"{name}.{n}", p) for n, p in low.named_parameters()]
        adapted.append(replace(stage, parameters=tuple(parameters)))
    if not any(stage.parameters for stage in adapted):
        raise UsageError(
            f"--lora {config.lora}: the backbone has no attention with linear layers to adapt; its "
            f"stages are {', '.join(stage.name for stage in backbone)}.",
            hint="Give a transformer such as timm:vit_small_patch16_224, or leave --lora out.",
        )
    return [*adapted, head]


def _attention(stage: NetworkStage) -> Iterator[tuple[str, nn.Module, str]]:
    """Names, modules and their weight's name, of the linear layers that attention is made of."""
    for top in stage.modules:
        for name, module in top.named_modules(prefix=stage.name):
            kind = type(module).__name__.lower()
            if "attention" not in kind and "attn" not in kind:
                continue
            if getattr(module, _JOINED, None) is not None:
                yield name, module, _JOINED
            for child, linear in module.named_children():
                if isinstance(linear, nn.Linear):
                    yield f"{name}.{child}", linear, "weight"


def merge(network: nn.Module) -> None:
    """Add the corrections to the weights, and leave an ordinary network."""
    for module in list(network.modules()):
        if not parametrize.is_parametrized(module):
            continue
        for name, steps in list(module.parametrizations.items()):  # type: ignore[union-attr,operator]
            if any(isinstance(step, LowRank) for step in steps):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
