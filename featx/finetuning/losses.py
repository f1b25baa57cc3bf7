"""What is minimised: cross-entropy or focal loss against soft targets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_targets(y: Tensor, n_classes: int, smoothing: float) -> Tensor:
    """One row of probabilities an image: 1 for its class, of which ``smoothing`` goes to all."""
    return F.one_hot(y, n_classes).float() * (1 - smoothing) + smoothing / n_classes


def balanced_weights(y: Tensor, n_classes: int) -> Tensor:
    """``n / (n_classes * count)`` of each class, as scikit-learn's ``balanced``; 0 without any."""
    counts = torch.bincount(y, minlength=n_classes).float()
    return torch.where(counts > 0, len(y) / (n_classes * counts.clamp(min=1)), 0.0)


def soft_loss(
    scores: Tensor, targets: Tensor, *, weights: Tensor | None = None, gamma: float = 0.0
) -> Tensor:
    """Loss of each image, shape (n,).

    Parameters
    ----------
    scores : Tensor of shape (n, n_classes)
        Before the softmax.
    targets : Tensor of shape (n, n_classes)
        Rows sum to 1.
    weights : Tensor of shape (n_classes,), optional
        Of the classes.
    gamma : float, default 0
        Above 0 the focal loss, ``-(1 - p) ** gamma * log p``: Lin et al., "Focal loss for dense
        object detection", ICCV 2017.
    """
    logs = F.log_softmax(scores, dim=1)
    terms = -targets * logs
    if gamma:
        terms = terms * (1 - logs.exp()).clamp(min=0) ** gamma
    if weights is not None:
        terms = terms * weights
    return terms.sum(dim=1)
