"""An exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from featx.finetuning.classifier import NetworkClassifier

__all__ = ["Average"]


class Average:
    """The average of what is trained; nothing where ``decay`` is 0.

    Parameters
    ----------
    classifier : NetworkClassifier
        With what is trained unfrozen.
    decay : float
        In [0, 1). Begins at 1/11 and rises to this, so that the first steps do not count for long.
    """

    def __init__(self, classifier: NetworkClassifier, decay: float) -> None:
        self.decay = decay
        trained = dict(classifier.named_parameters())
        running = {n: b for n, b in classifier.named_buffers() if n.endswith("running_mean")}
        running |= {n: b for n, b in classifier.named_buffers() if n.endswith("running_var")}
        tensors = {n: p for n, p in trained.items() if p.requires_grad} | running
        self._live: dict[str, Tensor] = tensors if decay else {}
        self.values = {n: t.detach().clone() for n, t in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after a step, counted from 1, into the average."""
        decay = min(self.decay, step / (10 + step))
        for name, value in self.values.items():
            value.lerp_(self._live[name], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The classifier with averaged weights, while the block runs."""
        kept = {n: t.detach().clone() for n, t in self._live.items()}
        self._put(self.values)
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self._live[name].copy_(value)
