"""Optimisers over the parameters of all stages, and their learning rates at each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from featx.config import FinetuneConfig
from featx.finetuning.unfreezing import Unfreezing

_BUILD: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": lambda groups, **kw: torch.optim.AdamW(groups, fused=_fuses(groups), **kw),
    "adam": lambda groups, **kw: torch.optim.Adam(groups, fused=_fuses(groups), **kw),
    "sgd": lambda groups, **kw: torch.optim.SGD(groups, momentum=0.9, nesterov=True, **kw),
    "rmsprop": lambda groups, **kw: torch.optim.RMSprop(groups, momentum=0.9, **kw),
}
_FUSING = frozenset({"cpu", "cuda"})  # devices that update all parameters in one pass
_STEPS = 3  # of the schedule "step", each to a tenth
_PATIENCE = 2  # epochs without a better one, of the schedule "plateau"
_LEAST = 1e-3  # what one-cycle begins and ends with

#: Schedules that do not come down by themselves: they end where nothing gets better.
OPEN_ENDED = frozenset({"plateau", "constant"})
OPEN_PATIENCE = 5  # epochs


def build_optimizer(unfreezing: Unfreezing, config: FinetuneConfig) -> torch.optim.Optimizer:
    """The optimiser of all parameters that are ever trained.

    Biases, norms and other vectors do not decay. Each group's ``share`` is its stage's part of the
    learning rate.
    """
    groups: list[dict[str, Any]] = []
    first = len(unfreezing.stages) - unfreezing.most
    for stage, share in list(zip(unfreezing.stages, unfreezing.rates, strict=True))[first:]:
        for decays in (True, False):
            chosen = [p for _, p in stage.parameters if (p.ndim > 1) == decays]
            if chosen:
                decay = config.weight_decay if decays else 0.0
                groups.append({"params": chosen, "weight_decay": decay, "share": share})
    return _BUILD[config.optimizer](groups, lr=float(config.learning_rate or 0))


def _fuses(groups: list[dict[str, Any]]) -> bool:
    """Whether all parameters are where one pass may update them."""
    return all(p.device.type in _FUSING for group in groups for p in group["params"])


def patience_of(config: FinetuneConfig) -> int:
    """Epochs without a better one before training ends; more than there are where it does not end.

    A schedule that comes down is gone through to its end: before it has come down, nothing says
    that a training gets no better.
    """
    if config.patience is not None:
        return config.patience
    return OPEN_PATIENCE if config.schedule in OPEN_ENDED else config.epochs + 1


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give each group its share of ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


def rate_factor(
    config: FinetuneConfig, step: int, total: int, losses: Sequence[float] = ()
) -> float:
    """What the learning rate is multiplied by at a step.

    A function of where training stands and nothing else, so that there is no state to lose.

    Parameters
    ----------
    config : FinetuneConfig
        ``schedule`` and ``warmup``.
    step : int
        From 0.
    total : int
        Steps of all epochs.
    losses : sequence of float
        Validation losses of the epochs so far, for ``plateau``.

    Returns
    -------
    float
        In [0, 1].

    Notes
    -----
    ``cosine``: Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts. ``one-cycle``: Smith and
    Topin 2017, up over the first 30 % and down over the rest. ``step``: a tenth after each third.
    ``plateau``: a tenth after two epochs without a smaller validation loss.
    """
    if config.schedule == "one-cycle":
        peak = 0.3 * total
        done = step / peak if step < peak else 1 - (step - peak) / (total - peak)
        return _LEAST + (1 - _LEAST) * (1 - math.cos(math.pi * done)) / 2
    warmup = config.warmup * total
    if step < warmup:
        return (step + 1) / (math.floor(warmup) + 1)
    if config.schedule == "cosine":
        return (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
    if config.schedule == "step":
        return float(0.1 ** (_STEPS * step // total))
    if config.schedule == "plateau":
        return float(0.1 ** _stalls(losses))
    return 1.0


def _stalls(losses: Sequence[float]) -> int:
    """How often ``_PATIENCE`` epochs in a row were no better than the best before."""
    best, since, stalls = math.inf, 0, 0
    for loss in losses:
        since += 1
        if loss < best:
            best, since = loss, 0
        if since == _PATIENCE:
            stalls, since = stalls + 1, 0
    return stalls
