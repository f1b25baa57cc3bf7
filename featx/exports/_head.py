"""Scaler, projection, classifier and calibration as torch modules: embeddings to probabilities.

Each computes what `featx.artifact` computes with NumPy or scikit-learn, from the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from featx.artifact.calibration import Calibration, Isotonic, Sigmoid, Temperature
from featx.artifact.ensemble import LEAST as LEAST_VOICE
from featx.artifact.ensemble import EnsembleHead
from featx.artifact.linear import ArrayHead
from featx.errors import ModelError
from featx.margins import LEAST

__all__ = ["head_module"]


def head_module(
    head: Any, calibration: Calibration | None = None, temperature: float | None = None
) -> nn.Module:
    """Probabilities (n, n_classes), float64, of embeddings (n, n_features), as featx says them.

    Parameters
    ----------
    head : sklearn.pipeline.Pipeline, ArrayHead or EnsembleHead
    calibration : Calibration, optional
    temperature : float, optional
        See `featx.artifact.ensemble.head_probabilities`.

    Raises
    ------
    ModelError
        A step is not one of those that can be exported; it and they are named.
    """
    if isinstance(head, ArrayHead):
        head = head.rebuild()
    if isinstance(head, EnsembleHead):
        inner: nn.Module = _Ensemble(head)
        margins = False
    else:
        *before, (_, classifier) = head.steps
        first = [_step(step) for _, step in before]
        last, margins = _classifier(classifier)
        inner = nn.Sequential(*first, last)
    if calibration is None and not margins:
        return inner
    return nn.Sequential(
        inner, _calibration(calibration or Temperature(temperature=temperature or 1.0), margins)
    )


def _tensor(values: ArrayLike, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(np.asarray(values, dtype=np.float64), dtype=dtype)


class _Affine(nn.Module):
    """``(x - shift) @ weights + offset``."""

    def __init__(self, weights: ArrayLike, offset: ArrayLike, shift: ArrayLike = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", _tensor(weights))
        self.register_buffer("offset", _tensor(offset))
        self.register_buffer("shift", _tensor(shift))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.shift) @ self.weights + self.offset  # type: ignore[operator]


class _Standardise(nn.Module):
    def __init__(self, mean: ArrayLike, scale: ArrayLike) -> None:
        super().__init__()
        self.register_buffer("mean", _tensor(mean))
        self.register_buffer("scale", _tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale  # type: ignore[operator]


def _step(step: Any) -> nn.Module:
    """A transformer before the classifier."""
    name = type(step).__name__
    if name == "StandardScaler":
        mean = step.mean_ if step.with_mean else 0.0
        return _Standardise(mean, step.scale_ if step.with_std else 1.0)
    if name == "PCA":
        weights = step.components_.T.astype(np.float64)
        if step.whiten:
            weights = weights / np.sqrt(step.explained_variance_)
        return _Affine(weights, 0.0, step.mean_)
    raise ModelError(f"A {name} before the head cannot be exported; StandardScaler and PCA can.")


class _Unit(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        norms = x.norm(dim=1, keepdim=True)
        return x / torch.where(norms > 0, norms, torch.ones_like(norms))


class _Columns(nn.Module):
    """One margin a class from the single margin of the second of two; ``odds``: log-odds."""

    def __init__(self, odds: bool) -> None:
        super().__init__()
        self.odds = odds

    def forward(self, x: Tensor) -> Tensor:
        if self.odds:
            return torch.cat([torch.zeros_like(x), x], dim=1)
        return torch.cat([-x / 2, x / 2], dim=1)


def _classifier(head: Any) -> tuple[nn.Module, bool]:
    """The classifier, and whether it gives margins instead of probabilities."""
    name = type(head).__name__
    if name in _LINEAR:
        return _linear(head, probabilities=_LINEAR[name]), not _LINEAR[name]
    if name == "PerceptronClassifier":
        return _Perceptron(head), False
    if name == "SVC" and head.kernel in {"linear", "rbf"}:
        return _Machine(head), True
    raise ModelError(
        f"A head of the kind {name} cannot be exported.",
        hint="Heads that can: logreg, elastic-net, lda, ridge, svm-linear, svm-rbf, prototypes "
        "and mlp, alone or in an ensemble. Fit with one of them: featx fit ... --head logreg",
    )


_LINEAR = {
    "LinearDiscriminantAnalysis": True,
    "LinearSVC": False,
    "LogisticRegression": True,
    "PrototypeClassifier": False,
    "RidgeClassifier": False,
}


def _linear(head: Any, *, probabilities: bool) -> nn.Module:
    planes = np.atleast_2d(head.coef_)
    steps: list[nn.Module] = [_Unit()] if getattr(head, "unit_", False) else []
    steps.append(_Affine(planes.T, np.ravel(head.intercept_)))
    if len(planes) == 1:
        steps.append(_Columns(odds=probabilities))
    return nn.Sequential(*steps, *([nn.Softmax(dim=1)] if probabilities else []))


class _Perceptron(nn.Module):
    """In float32, as featx trains and computes it."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for weights, bias in zip(head.coefs_, head.intercepts_, strict=True):
            layer = nn.Linear(*weights.shape)
            layer.weight.data, layer.bias.data = torch.tensor(weights.T), torch.tensor(bias)
            self.layers.append(layer)
        self.activation = {"relu": nn.ReLU(), "gelu": nn.GELU("tanh"), "tanh": nn.Tanh()}[
            head.activation
        ]

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(torch.float32)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return torch.softmax(self.layers[-1](x).to(torch.float64), dim=1)


class _Machine(nn.Module):
    """A support vector classifier, one class against one; see `featx.artifact.vectors`."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        n_classes = len(head.classes_)
        pairs = list(combinations(range(n_classes), 2))
        ends = np.cumsum(head._n_support)
        slices = [slice(e - n, e) for e, n in zip(ends, head._n_support, strict=True)]
        dual = np.zeros((len(head.support_vectors_), len(pairs)))
        signs = np.zeros((len(pairs), n_classes))
        for k, (i, j) in enumerate(pairs):
            dual[slices[i], k] = head._dual_coef_[j - 1, slices[i]]
            dual[slices[j], k] = head._dual_coef_[i, slices[j]]
            signs[k, i], signs[k, j] = 1, -1
        self.gamma = float(head._gamma) if head.kernel == "rbf" else None
        self.binary = n_classes == 2
        self.register_buffer("vectors", _tensor(head.support_vectors_))
        self.register_buffer("dual", _tensor(dual))
        self.register_buffer("intercept", _tensor(head._intercept_))
        self.register_buffer("signs", _tensor(signs))

    def forward(self, x: Tensor) -> Tensor:
        vectors: Any = self.vectors
        kernel = x @ vectors.T
        if self.gamma is not None:
            squares = (x**2).sum(dim=1, keepdim=True) + (vectors**2).sum(dim=1)
            kernel = torch.exp(-self.gamma * torch.clamp(squares - 2 * kernel, min=0))
        duels = kernel @ self.dual + self.intercept
        if self.binary:
            return torch.cat([duels / 2, -duels / 2], dim=1)
        signs: Any = self.signs
        wins = (duels >= 0).to(x.dtype)
        won = wins @ torch.clamp(signs, min=0) + (1 - wins) @ torch.clamp(-signs, min=0)
        margins = duels @ signs
        return won + margins / (3 * (margins.abs() + 1))


def _calibration(calibration: Calibration, margins: bool) -> nn.Module:
    if isinstance(calibration, Temperature):
        return _Temperature(calibration, margins)
    if isinstance(calibration, Sigmoid):
        return _Shares(_Sigmoid(calibration), margins)
    return _Shares(_Isotonic(calibration), margins)


class _Temperature(nn.Module):
    def __init__(self, calibration: Temperature, margins: bool) -> None:
        super().__init__()
        self.temperature, self.margins = calibration.temperature, margins

    def forward(self, scores: Tensor) -> Tensor:
        return torch.softmax((scores if self.margins else torch.log(scores)) / self.temperature, 1)


class _Shares(nn.Module):
    """Each class's own probability over their sum; equal shares where all are 0."""

    def __init__(self, own: nn.Module, margins: bool) -> None:
        super().__init__()
        self.own, self.margins = own, margins

    def forward(self, scores: Tensor) -> Tensor:
        if not self.margins:
            clipped = torch.clamp(scores, LEAST, 1 - LEAST)
            scores = torch.log(clipped) - torch.log(1 - clipped)
        own = self.own(scores)
        total = own.sum(dim=1, keepdim=True)
        even = torch.ones_like(own) / own.shape[1]
        return torch.where(
            total > 0, own / torch.where(total > 0, total, torch.ones_like(total)), even
        )


class _Sigmoid(nn.Module):
    def __init__(self, calibration: Sigmoid) -> None:
        super().__init__()
        self.register_buffer("slopes", _tensor(calibration.slopes))
        self.register_buffer("offsets", _tensor(calibration.offsets))

    def forward(self, odds: Tensor) -> Tensor:
        return torch.sigmoid(self.slopes * odds + self.offsets)  # type: ignore[operator]


class _Isotonic(nn.Module):
    """``numpy.interp`` for each class: its first value and the rises that lie below a score."""

    def __init__(self, calibration: Isotonic) -> None:
        super().__init__()
        self.n_classes = len(calibration.scores)
        for i, (x, y) in enumerate(zip(calibration.scores, calibration.probabilities, strict=True)):
            points, values = np.array(x), np.array(y)
            self.register_buffer(f"low_{i}", _tensor(points[:-1]))
            # where scores are equal the last value holds: a step, not a slope
            self.register_buffer(f"gap_{i}", _tensor(np.maximum(np.diff(points), 1e-300)))
            self.register_buffer(f"rise_{i}", _tensor(np.diff(values)))
            self.register_buffer(f"start_{i}", _tensor(values[0]))

    def forward(self, odds: Tensor) -> Tensor:
        columns = []
        for i in range(self.n_classes):
            low, gap, rise, start = (
                getattr(self, f"{name}_{i}") for name in ("low", "gap", "rise", "start")
            )
            share = torch.clamp((odds[:, i : i + 1] - low) / gap, 0, 1)
            columns.append(start + (share * rise).sum(dim=1, keepdim=True))
        return torch.cat(columns, dim=1)


class _Ensemble(nn.Module):
    """Voices averaged or stacked; see `featx.artifact.ensemble`."""

    def __init__(self, ensemble: EnsembleHead) -> None:
        super().__init__()
        self.columns: Sequence[tuple[int, int]] = [voice.columns for voice in ensemble.voices]
        self.voices = nn.ModuleList(
            nn.ModuleList(head_module(head, voice.calibration) for head in voice.heads)
            for voice in ensemble.voices
        )
        self.stack = None if ensemble.stack is None else head_module(ensemble.stack)

    def forward(self, x: Tensor) -> Tensor:
        each = []
        for (start, stop), heads in zip(self.columns, self.voices, strict=True):
            own = x[:, start:stop]
            said = [head(own) for head in heads]  # type: ignore[attr-defined]
            each.append(torch.stack(said).mean(dim=0))
        if self.stack is None:
            return torch.stack(each).mean(dim=0)
        probabilities: Tensor = self.stack(
            torch.log(torch.clamp(torch.cat(each, dim=1), min=LEAST_VOICE))
        )
        return probabilities
