"""The whole classifier as one torch module: uint8 images in, probabilities and classes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from featx.artifact import Model
from featx.artifact.ensemble import head_probabilities
from featx.artifact.trust import Trust
from featx.exports._base import NetworkPart
from featx.exports._head import in_torch
from featx.exports._pixels import Preprocessing


class _Backbone(nn.Module):
    """Images (n, height, width, 3), uint8, to embeddings (n, n_features)."""

    def __init__(self, part: NetworkPart) -> None:
        super().__init__()
        self.pixels = Preprocessing(part.preprocess)
        self.network = part.network
        self.output = part.output
        mean, std = (
            torch.tensor(v, dtype=torch.float32).view(1, 3, 1, 1)
            for v in (part.preprocess.mean, part.preprocess.std)
        )
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", mean / std)

    def forward(self, images: Tensor) -> Tensor:
        x = self.pixels(images) * self.scale - self.shift
        vector: Tensor = self.network(x)[self.output]
        return vector.float()


class _Whole(nn.Module):
    """What `featx.artifact.Model` computes, by the same functions."""

    def __init__(self, model: Model, parts: Sequence[NetworkPart]) -> None:
        super().__init__()
        self.backbones = nn.ModuleList(_Backbone(part) for part in parts)
        self.head = in_torch(model.head)
        self.trust = model.trust or Trust()
        self.temperature = model.temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        embeddings = torch.cat([backbone(images) for backbone in self.backbones], dim=1)
        probabilities = head_probabilities(
            self.head, embeddings.to(torch.float64), self.trust.calibration, self.temperature
        )
        return probabilities.to(torch.float32), self.trust.decide(probabilities)


def whole_network(model: Model, parts: Sequence[NetworkPart]) -> nn.Module:
    """The classifier as a module, in evaluation mode.

    Parameters
    ----------
    model : Model
    parts : sequence of NetworkPart
        Its backbones, in the order of the columns.

    Returns
    -------
    torch.nn.Module
        From ``images``, uint8 (n, height, width, 3), to ``probabilities``, float32
        (n, n_classes), and ``predicted``, int64 (n,).

    Raises
    ------
    ModelError
        The head cannot be exported.
    """
    return _Whole(model, parts).eval()


def pixels(part: NetworkPart, image: Any) -> Any:
    """What the network makes of one uint8 image (height, width, 3) before it is normalised."""
    with torch.no_grad():
        made = Preprocessing(part.preprocess)(torch.tensor(image).unsqueeze(0))
    return made[0].permute(1, 2, 0).to(torch.uint8).numpy()
