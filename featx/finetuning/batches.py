"""Which images a step sees, and how they are mixed: functions of the seed and the step alone.

There is no state of chance to save: a resumed run draws what the uninterrupted one would have.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featx.config import FinetuneConfig

__all__ = ["mix", "order_rows", "step_seed"]

_ORDER, _MIX, _NETWORK = 0, 1, 2  # what is drawn for, so that no two draws are related


def order_rows(y: NDArray[np.int64], epoch: int, seed: int, *, balanced: bool) -> NDArray[np.int64]:
    """Positions in ``y`` in the order in which an epoch sees them.

    Balanced, each class comes equally often, as many images in all as there are: rare classes'
    images repeatedly, each as often as the others of its class to one.
    """
    random = np.random.default_rng([seed, _ORDER, epoch])
    if not balanced:
        return random.permutation(len(y))
    classes = np.unique(y)
    drawn = []
    for c in classes:
        own = np.flatnonzero(y == c)
        wanted = -(-len(y) // len(classes))
        rounds = [random.permutation(own) for _ in range(-(-wanted // len(own)))]
        drawn.append(np.concatenate(rounds)[:wanted])
    return random.permutation(np.concatenate(drawn))[: len(y)]


def step_seed(seed: int, step: int) -> int:
    """Seed of what the network itself draws at a step: dropout, stochastic depth."""
    return int(np.random.default_rng([seed, _NETWORK, step]).integers(2**63))


def mix(
    x: Tensor, targets: Tensor, config: FinetuneConfig, step: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Mixup or cutmix of a batch with itself in another order; of both, each in half of the steps.

    References
    ----------
    Zhang et al., "mixup", ICLR 2018. Yun et al., "CutMix", ICCV 2019: targets are mixed by the
    areas that remain.
    """
    if not config.mixup and not config.cutmix:
        return x, targets
    random = np.random.default_rng([seed, _MIX, step])
    cuts = bool(config.cutmix) and (not config.mixup or random.random() < 0.5)
    alpha = config.cutmix if cuts else config.mixup
    share = float(random.beta(alpha, alpha))
    order = torch.from_numpy(random.permutation(len(x))).to(x.device)
    if not cuts:
        return share * x + (1 - share) * x[order], share * targets + (1 - share) * targets[order]
    rows, columns = (_window(n, share, random) for n in x.shape[2:])
    mixed = x.clone()
    mixed[:, :, rows, columns] = x[order][:, :, rows, columns]
    cut = (rows.stop - rows.start) * (columns.stop - columns.start) / (x.shape[2] * x.shape[3])
    return mixed, (1 - cut) * targets + cut * targets[order]


def _window(n: int, share: float, random: Any) -> slice:
    """A stretch of about ``sqrt(1 - share)`` of ``n``, around any place, cut at the border."""
    half = n * np.sqrt(1 - share) / 2
    centre = random.integers(n)
    return slice(int(max(0, centre - half)), int(min(n, centre + half)))
