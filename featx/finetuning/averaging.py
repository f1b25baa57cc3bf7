"""Averages of the weights over steps: of the last ones, or an exponential one of all.

The last steps of a schedule move around the place that they lead to; the mean of their weights is
nearer to it: Izmailov et al., "Averaging weights leads to wider optima and better generalization",
UAI 2018, https://arxiv.org/abs/1803.05407.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from featx.finetuning.classifier import NetworkClassifier


class Average:
    """The average of what is trained; nothing where ``decay`` is 0 and ``after`` is None.

    Parameters
    ----------
    classifier : NetworkClassifier
        With what is trained unfrozen.
    decay : float
        Of an exponential average, in [0, 1). Begins at 1/11 and rises to this, so that the first
        steps do not count for long.
    after : int, optional
        Without ``decay`` the mean over the steps after this one; before, the weights as they are.
    """

    def __init__(self, classifier: NetworkClassifier, decay: float, after: int | None) -> None:
        self.decay, self.after = decay, after
        trained = dict(classifier.named_parameters())
        running = {n: b for n, b in classifier.named_buffers() if n.endswith("running_mean")}
        running |= {n: b for n, b in classifier.named_buffers() if n.endswith("running_var")}
        tensors = {n: p for n, p in trained.items() if p.requires_grad} | running
        self._live: dict[str, Tensor] = tensors if decay or after is not None else {}
        self.values = {n: t.detach().clone() for n, t in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after a step, counted from 1, into the average."""
        weight = 1 - min(self.decay, step / (10 + step))
        if not self.decay and self.after is not None:
            weight = 1 / max(1, step - self.after)
        for name, value in self.values.items():
            value.lerp_(self._live[name], weight)

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
