"""Batches as the network sees them, the next one made while one is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from featx.config import FinetuneConfig
from featx.finetuning.augmenting import augmenter
from featx.finetuning.batches import Mixture, draw_mixture
from featx.finetuning.classifier import NetworkClassifier
from featx.finetuning.distributed import World
from featx.finetuning.losses import soft_targets
from featx.finetuning.task import Task
from featx.types import IntArray, UInt8Array


class Feed:
    """Images and targets of this process's share of each step.

    Parameters
    ----------
    task : Task
    config : FinetuneConfig
    world : World
    """

    def __init__(self, task: Task, config: FinetuneConfig, world: World) -> None:
        self.task, self.config, self.world = task, config, world
        self._ahead = ThreadPoolExecutor(1)

    def close(self) -> None:
        """End its thread."""
        self._ahead.shutdown(cancel_futures=True)

    def batches(self, batches: list[IntArray], first: int) -> Iterator[tuple[IntArray, UInt8Array]]:
        """Batches with their pixels, from step ``first`` on."""
        waiting: Future[UInt8Array] | None = None
        for i, rows in enumerate(batches):
            pixels = waiting.result() if waiting else self._load(rows, first)
            if i + 1 < len(batches):
                waiting = self._ahead.submit(self._load, batches[i + 1], first + i + 1)
            yield rows, pixels

    def inputs(
        self, rows: IntArray, pixels: UInt8Array | None, step: int, classifier: NetworkClassifier
    ) -> tuple[Tensor | None, Tensor]:
        """What the network sees of this process's images, mixed where asked, and targets.

        No images where what frozen stages say of them is played back.
        """
        y = torch.from_numpy(self.task.y[rows]).to(self.task.device)
        n_classes = len(self.task.head.layers[-1][1])
        targets = soft_targets(y, n_classes, self.config.label_smoothing)
        mine = self.world.share(len(rows))
        own = torch.from_numpy(mine)
        if pixels is None:
            return None, targets[own]
        x = classifier.normalise(torch.from_numpy(pixels).to(self.task.device))
        mixture = self._mixture(len(rows), step)
        if mixture is None:
            return x, targets[own]
        wanted = self._wanted(mixture, len(rows))
        images, partners = (
            x[torch.from_numpy(np.searchsorted(wanted, places))]
            for places in (mine, mixture.partners[mine])
        )
        return mixture.images(images, partners), mixture.targets(targets)[own]

    def _load(self, rows: IntArray, step: int) -> UInt8Array:
        """Pixels of `_wanted` images of a batch."""
        bank, strength = self.task.bank, self.config.augment
        wanted = self._wanted(self._mixture(len(rows), step), len(rows))
        if strength == "none":
            return bank.plain(rows[wanted])
        augment = augmenter(strength, upright=self.task.upright)
        return bank.augmented(rows, augment, step=step, seed=self.task.seed, wanted=wanted)

    def _mixture(self, n: int, step: int) -> Mixture | None:
        size_px = self.task.bank.preprocess.size_px
        return draw_mixture(n, size_px, self.config, step, self.task.seed)

    def _wanted(self, mixture: Mixture | None, n: int) -> IntArray:
        """Positions in a batch of the images of this process, and of those they are mixed with."""
        mine = self.world.share(n)
        if mixture is None:
            return mine
        return np.unique(np.concatenate([mine, mixture.partners[mine]]))
