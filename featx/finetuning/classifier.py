"""The network that is trained: normalisation, backbone, and the head that was fitted on it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from featx.types import AnyArray, Preprocess

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


@dataclass(frozen=True)
class HeadWeights:
    """A fitted pipeline of scaler and linear layers, as arrays.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_features,)
        Of the scaler: subtracted, and divided by.
    layers : list of (ndarray of shape (n_out, n_in), ndarray of shape (n_out,))
        Weights and biases; the last has one row a class.
    activation : str
        Between layers.
    dropout : float
        Before each layer but the first, while training.
    """

    mean: AnyArray
    scale: AnyArray
    layers: list[tuple[AnyArray, AnyArray]]
    activation: str = "relu"
    dropout: float = 0.0

    def cooled(self, temperature: float) -> HeadWeights:
        """The same classes, their scores divided by a temperature."""
        *layers, (W, b) = self.layers
        return replace(self, layers=[*layers, (W / temperature, b / temperature)])

    @classmethod
    def of(cls, pipeline: Any) -> HeadWeights:
        """The weights of a fitted ``scaler`` and ``head`` (logreg or mlp).

        Two classes of a logistic regression have one margin; its halves, with opposite signs, give
        the same probabilities by a softmax.
        """
        scaler, head = pipeline[0], pipeline[-1]
        if hasattr(head, "coefs_"):
            layers = [(W.T, b) for W, b in zip(head.coefs_, head.intercepts_, strict=True)]
            return cls(scaler.mean_, scaler.scale_, layers, head.activation, head.dropout)
        coef, intercept = head.coef_, head.intercept_
        if len(coef) == 1:
            coef = np.concatenate([-coef, coef]) / 2
            intercept = np.concatenate([-intercept, intercept]) / 2
        return cls(scaler.mean_, scaler.scale_, [(coef, intercept)])

    def put_into(self, pipeline: Any) -> Any:
        """A copy of the pipeline that these weights came from, with these weights."""
        pipeline = copy.deepcopy(pipeline)
        head = pipeline[-1]
        if hasattr(head, "coefs_"):
            head.coefs_ = [W.T.astype(np.float32) for W, _ in self.layers]
            head.intercepts_ = [b.astype(np.float32) for _, b in self.layers]
            return pipeline
        [(coef, intercept)] = self.layers
        if len(coef) == 2:
            coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
        head.coef_, head.intercept_ = coef.astype(np.float64), intercept.astype(np.float64)
        return pipeline


class NetworkClassifier(nn.Module):
    """From pixels to scores of classes; before any training just what the frozen model says.

    Parameters
    ----------
    backbone : torch.nn.Module
        Normalised float32 ``(n, 3, height, width)`` to a tuple whose only item is
        ``(n, n_features)``; trained in place.
    head : HeadWeights
        Its scaler stays as it is: an affine map, and better conditioned than weights that have
        swallowed it.
    preprocess : Preprocess
        Mean and standard deviation of the backbone's input.
    """

    def __init__(self, backbone: nn.Module, head: HeadWeights, preprocess: Preprocess) -> None:
        super().__init__()
        self.backbone = backbone
        self.activation = head.activation
        self.layers = nn.ModuleList(_linear(W, b) for W, b in head.layers)
        self.between = nn.Sequential(_ACTIVATIONS[head.activation](), nn.Dropout(head.dropout))
        for name, values in (
            ("pixel_mean", np.reshape(preprocess.mean, (1, 3, 1, 1))),
            ("pixel_std", np.reshape(preprocess.std, (1, 3, 1, 1))),
            ("mean", head.mean),
            ("scale", head.scale),
        ):
            tensor = torch.tensor(np.asarray(values), dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels ``(n, height, width, 3)`` of 0 to 255, as the backbone takes them."""
        x = pixels.permute(0, 3, 1, 2).float()
        return (x / 255 - self.get_buffer("pixel_mean")) / self.get_buffer("pixel_std")

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax, (n, n_classes), of what `normalise` gave."""
        (embedding,) = self.backbone(x)
        return self.classify(embedding)

    def classify(self, embedding: Tensor) -> Tensor:
        """Scores before the softmax, (n, n_classes), of what the backbone gave."""
        with torch.autocast(embedding.device.type, enabled=False):
            z = (embedding.float() - self.get_buffer("mean")) / self.get_buffer("scale")
            for i, layer in enumerate(self.layers):
                z = layer(z) if i == 0 else layer(self.between(z))
        return z

    @torch.no_grad()
    def forget_head(self, seed: int) -> None:
        """Give the head's layers random weights, as torch does, from a seed; the scaler stays."""
        generator = torch.Generator().manual_seed(seed)
        for layer in self.layers:
            weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
            bound = weight.shape[1] ** -0.5
            for values in (weight, bias):
                drawn = torch.rand(values.shape, generator=generator)
                values.copy_(bound * (2 * drawn - 1))

    @torch.no_grad()
    def cool(self, temperature: float) -> None:
        """Divide scores by a temperature: the same classes, with calibrated probabilities."""
        for p in list(self.layers)[-1].parameters():
            p.div_(temperature)

    def head_weights(self) -> HeadWeights:
        """The head as it is now."""
        layers = [
            (_array(layer.get_parameter("weight")), _array(layer.get_parameter("bias")))
            for layer in self.layers
        ]
        mean, scale = _array(self.get_buffer("mean")), _array(self.get_buffer("scale"))
        return HeadWeights(mean, scale, layers, self.activation)


def _linear(W: AnyArray, b: AnyArray) -> nn.Linear:
    layer = nn.Linear(W.shape[1], W.shape[0], device="meta")
    layer.weight = nn.Parameter(torch.tensor(W, dtype=torch.float32))
    layer.bias = nn.Parameter(torch.tensor(b, dtype=torch.float32))
    return layer


def _array(tensor: Tensor) -> AnyArray:
    return np.asarray(tensor.detach().cpu().numpy())
