"""Training of the multilayer perceptron: the one file of the heads that uses torch.

Gradients are torch's, so that activations, dropout and batch norm need no derivatives of our own.
Everything random is drawn from a generator of the fit's own and one thread computes it, so that
fits side by side do not change each other.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from featx.types import Float32Array, FloatArray

Settings = Any  # a PerceptronClassifier
Arrays = list[Float32Array]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": partial(F.gelu, approximate="tanh"),
    "tanh": torch.tanh,
}
MOMENTUM = 0.1  # of batch norm's running means and variances
EPSILON = 1e-5  # added to its variances
LEAST_GAIN = 1e-4  # a loss is smaller when it is so much smaller


def train(
    X: Float32Array,
    y: NDArray[np.intp],
    sample_weight: FloatArray,
    parts: tuple[NDArray[np.intp], NDArray[np.intp]],
    *,
    widths: list[int],
    settings: Settings,
    generator: np.random.Generator,
) -> tuple[Arrays, Arrays, int]:
    """Minimise the weighted cross-entropy.

    Parameters
    ----------
    X : ndarray of shape (n, widths[0]), float32
    y : ndarray of shape (n,), int
        Class indices.
    sample_weight : ndarray of shape (n,)
        Of mean 1.
    parts : tuple of ndarray of int
        Rows to train on, and rows that say when it is enough; the second may be empty.
    widths : list of int
        Of the embeddings, the hidden layers and the classes.
    settings : PerceptronClassifier
        Its parameters.
    generator : numpy.random.Generator

    Returns
    -------
    coefs, intercepts : list of ndarray
        As `PerceptronClassifier` has them.
    n_epochs : int
        Run.
    """
    with _one_thread():
        network = _Network(widths, settings, int(generator.integers(2**63)))
        rows = [
            (
                torch.tensor(X[part]),
                torch.tensor(y[part]),
                torch.tensor(sample_weight[part]).float(),
            )
            for part in parts
        ]
        n_epochs = _minimise(network, rows[0], rows[1], settings)
        return *network.folded(), n_epochs


class _Network:
    """Parameters of all layers, and what they compute.

    ``state`` is everything that training changes, layer by layer: weights and bias and, with batch
    norm, its scale, shift, running mean and running variance.
    """

    def __init__(self, widths: list[int], settings: Settings, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.settings = settings
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        self.norms: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for inputs, outputs in pairwise(widths):
            bound = 1 / math.sqrt(inputs)  # as torch.nn.Linear
            for shape, where in (((outputs, inputs), self.weights), ((outputs,), self.biases)):
                tensor = torch.empty(shape).uniform_(-bound, bound, generator=self.random)
                where.append(tensor.requires_grad_())
        if settings.batch_norm:
            for width in widths[1:-1]:
                scale, shift = torch.ones(width), torch.zeros(width)
                mean, variance = torch.zeros(width), torch.ones(width)
                self.norms.append((scale.requires_grad_(), shift.requires_grad_(), mean, variance))
        self.state = [*self.weights, *self.biases, *(t for norm in self.norms for t in norm)]

    def scores(self, X: Tensor, *, training: bool) -> Tensor:
        """Scores before the softmax, shape (n, n_classes)."""
        keep = 1 - self.settings.dropout
        for i, (W, b) in enumerate(zip(self.weights[:-1], self.biases[:-1], strict=True)):
            X = F.linear(X, W, b)
            if self.norms:
                scale, shift, mean, variance = self.norms[i]
                X = F.batch_norm(
                    X, mean, variance, scale, shift, training, momentum=MOMENTUM, eps=EPSILON
                )
            X = ACTIVATIONS[self.settings.activation](X)
            if training and keep < 1:
                X = X * (torch.rand(X.shape, generator=self.random) < keep) / keep
        return F.linear(X, self.weights[-1], self.biases[-1])

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW; biases and batch norm do not decay."""
        free = [t for t in self.state if t.requires_grad and t.ndim == 1]
        groups: list[dict[str, Any]] = [
            {"params": self.weights, "weight_decay": self.settings.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.settings.learning_rate_init, fused=True)

    def folded(self) -> tuple[Arrays, Arrays]:
        """Weights and biases that compute the same without batch norm, inputs first."""
        coefs, intercepts = [], []
        for i, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            W, b = W.detach().double(), b.detach().double()
            if i < len(self.norms):
                scale, shift, mean, variance = (t.detach().double() for t in self.norms[i])
                factor = scale / torch.sqrt(variance + EPSILON)
                W, b = W * factor[:, None], (b - mean) * factor + shift
            coefs.append(W.T.float().contiguous().numpy())
            intercepts.append(b.float().numpy())
        return coefs, intercepts


Rows = tuple[Tensor, ...]  # embeddings, class indices, weights


def _minimise(network: _Network, training: Rows, validation: Rows, settings: Settings) -> int:
    """Train in place, and go back to the epoch that did best; how many epochs were run."""
    optimizer = network.optimizer()
    X, y, weights = training
    n_batches = max(1, round(len(X) / settings.batch_size))
    best, kept, since = math.inf, [t.detach().clone() for t in network.state], 0
    for epoch in range(settings.epochs):
        order = torch.randperm(len(X), generator=network.random)
        for i, batch in enumerate(order.tensor_split(n_batches)):
            _set_rate(optimizer, settings, (epoch + i / n_batches) / settings.epochs)
            optimizer.zero_grad()
            scores = network.scores(X[batch], training=True)
            (F.cross_entropy(scores, y[batch], reduction="none") * weights[batch]).mean().backward()
            optimizer.step()
        if len(validation[0]) == 0:
            continue
        loss, since = _loss(network, validation), since + 1
        if loss < best - LEAST_GAIN:
            best, kept, since = loss, [t.detach().clone() for t in network.state], 0
        if since >= settings.patience:
            break
    if best < math.inf:
        with torch.no_grad():
            for tensor, value in zip(network.state, kept, strict=True):
                tensor.copy_(value)
    return epoch + 1


def _set_rate(optimizer: torch.optim.Optimizer, settings: Settings, done: float) -> None:
    share = (1 + math.cos(math.pi * done)) / 2 if settings.learning_rate == "cosine" else 1.0
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate_init * share


@torch.no_grad()
def _loss(network: _Network, rows: Rows) -> float:
    X, y, weights = rows
    losses = F.cross_entropy(network.scores(X, training=False), y, reduction="none")
    return float((losses * weights).sum() / weights.sum())


_lock = threading.Lock()
_running = 0
_threads = 1


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for what this one computes; afterwards the process's number, as it was."""
    global _running, _threads
    with _lock:
        before = torch.get_num_threads()  # a new thread takes the process's number here
        _threads = before if _running == 0 else _threads
        _running += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            torch.set_num_threads(_threads)
