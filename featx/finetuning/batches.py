"""Which images a step sees, and how they are mixed: functions of the seed and the step alone.

There is no state of chance to save: a resumed run draws what the uninterrupted one would have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featx.config import FinetuneConfig
from featx.types import IntArray

_ORDER, _MIX, _NETWORK, _HEAD = 0, 1, 2, 3  # what is drawn for, so that no two draws are related


def order_rows(y: IntArray, epoch: int, seed: int, *, balanced: bool) -> IntArray:
    """Positions in ``y`` in the order in which an epoch sees them.

    Balanced, each class comes equally often, as many images in all as there are: rare classes'
    images repeatedly, each as often as the others of its class to one.
    """
    random = np.random.default_rng([seed, _ORDER, epoch])
    if not balanced:
        return random.permutation(len(y))
    classes = np.unique(y)
    wanted = np.full(len(classes), len(y) // len(classes))
    wanted[random.permutation(len(classes))[: len(y) % len(classes)]] += 1
    drawn = []
    for c, n in zip(classes, wanted, strict=True):
        own = np.flatnonzero(y == c)
        rounds = [random.permutation(own) for _ in range(-(-n // len(own)))]
        drawn.append(np.concatenate(rounds)[:n])
    return random.permutation(np.concatenate(drawn))


def head_seed(seed: int) -> int:
    """Seed of a head of random weights."""
    return int(np.random.default_rng([seed, _HEAD]).integers(2**63))


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Seed of what the network itself draws at a step: dropout, stochastic depth.

    Processes that share a step draw for other images, and so draw others.
    """
    entropy = [seed, _NETWORK, step, *([rank] if rank else [])]
    return int(np.random.default_rng(entropy).integers(2**63))


@dataclass(frozen=True)
class Mixture:
    """How the images of a batch are mixed, each with another of the same batch.

    Parameters
    ----------
    partners : ndarray of shape (n,), int64
        Position of the image that each is mixed with.
    share : float
        What is left of each image, in [0, 1].
    window : tuple of two slices, optional
        Of rows and columns: there the partner is seen alone, and elsewhere the image (cutmix).
        Without it the two are blended (mixup).
    """

    partners: IntArray
    share: float
    window: tuple[slice, slice] | None = None

    def images(self, x: Tensor, partners: Tensor) -> Tensor:
        """Images ``(n, channels, height, width)`` mixed with as many others."""
        if self.window is None:
            return self.share * x + (1 - self.share) * partners
        mixed = x.clone()
        mixed[:, :, *self.window] = partners[:, :, *self.window]
        return mixed

    def targets(self, targets: Tensor) -> Tensor:
        """Targets ``(n, n_classes)`` of the whole batch, mixed as its images are."""
        partners = targets[torch.from_numpy(self.partners).to(targets.device)]
        return self.share * targets + (1 - self.share) * partners


def draw_mixture(
    n: int, size_px: tuple[int, int], config: FinetuneConfig, step: int, seed: int
) -> Mixture | None:
    """Mixup or cutmix of ``n`` images with themselves in another order.

    Where both are asked for, each in half of the steps; None where neither is.

    References
    ----------
    Zhang et al., "mixup", ICLR 2018. Yun et al., "CutMix", ICCV 2019: targets are mixed by the
    areas that remain.
    """
    if not config.mixup and not config.cutmix:
        return None
    random = np.random.default_rng([seed, _MIX, step])
    cuts = bool(config.cutmix) and (not config.mixup or random.random() < 0.5)
    alpha = config.cutmix if cuts else config.mixup
    share = float(random.beta(alpha, alpha))
    partners = random.permutation(n)
    if not cuts:
        return Mixture(partners, share)
    rows, columns = (_window(side, share, random) for side in size_px)
    cut = (rows.stop - rows.start) * (columns.stop - columns.start) / (size_px[0] * size_px[1])
    return Mixture(partners, 1 - cut, (rows, columns))


def _window(n: int, share: float, random: Any) -> slice:
    """A stretch of about ``sqrt(1 - share)`` of ``n``, around any place, cut at the border."""
    half = n * np.sqrt(1 - share) / 2
    centre = random.integers(n)
    return slice(int(max(0, centre - half)), int(min(n, centre + half)))
