"""What is trained on what, where training stands, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featx.finetuning.classifier import HeadWeights, NetworkClassifier
from featx.finetuning.images import ImageBank
from featx.types import IntArray

#: Called after every epoch with the history so far, epoch 0 too, before it is written down; says
#: why training is to end, or nothing.
Watcher = Callable[[list[dict[str, Any]]], str]

_ORDERLY = frozenset({"epochs", "patience", "pruned", "budget"})


def epoch_rank(row: dict[str, Any], monitor: str) -> tuple[float, ...]:
    """What the best epoch has least of.

    Parameters
    ----------
    row : dict
        Of `Trained.history`.
    monitor : {"last", "score", "loss"}
        ``last`` ranks as ``score`` does: so trainings are compared that keep their last epoch.
    """
    score = math.inf if row["validation_score"] is None else -row["validation_score"]
    loss = row["validation_loss"]
    return (loss,) if monitor == "loss" else (score, loss)


@dataclass(frozen=True)
class Task:
    """One network to train.

    Parameters
    ----------
    name : str
        For people.
    backbone : torch.nn.Module
        Trained in place; see `featx.finetuning.classifier.Classifier`.
    head : HeadWeights
        Fitted on the frozen embeddings of the ``training`` rows alone.
    bank : ImageBank
    y : ndarray of shape (n,), int64
        Class of each image of the bank, an index into the head's classes; anything elsewhere than
        in ``training`` and ``validation``.
    training, validation : ndarray of int64
        Rows of the bank. No other row is read. Without ``validation`` rows the last epoch is kept.
    folder : Path
        Where checkpoints are; what is there is gone on with.
    device, precision : str
        A single device, ``fp32`` or ``bf16``.
    devices : tuple of str
        Several to train on, in a process each; none trains in this process, on ``device``.
    scoring : str
        A name of ``FitConfig.scoring``.
    seed : int
    upright : bool
        Whether images have an up.
    watchers : tuple of Watcher
    curves : Path, optional
        Where curves are written in TensorBoard's format.
    """

    name: str
    backbone: Any
    head: HeadWeights
    bank: ImageBank
    y: IntArray
    training: IntArray
    validation: IntArray
    folder: Path
    device: str
    precision: str
    scoring: str
    seed: int
    upright: bool
    watchers: tuple[Watcher, ...] = ()
    curves: Path | None = None
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """A trained network as it was after its best epoch.

    Parameters
    ----------
    classifier : NetworkClassifier
    history : list of dict
        One row an epoch: ``epoch`` (0 before training), ``step``, ``train_loss`` and
        ``train_accuracy`` (None before training), ``validation_loss``, ``validation_score`` (None
        without validation images), ``learning_rate`` and ``images_per_s``.
    best_epoch : int
        0 where no epoch was better than none.
    stages : list of dict
        ``name``, ``n_parameters`` and ``learning_rate_share`` of each stage.
    stopped : str
        Why it ended: ``epochs``, ``patience``, ``pruned`` or ``budget`` in a search, or how it
        diverged, in words.
    elapsed_s : float
        Of training and validation, whichever run they were in.
    """

    classifier: NetworkClassifier
    history: list[dict[str, Any]]
    best_epoch: int
    stages: list[dict[str, Any]]
    stopped: str
    elapsed_s: float

    @property
    def diverged(self) -> bool:
        """Whether it ended because losses or gradients did."""
        return self.stopped not in _ORDERLY

    def row(self, epoch: int) -> dict[str, Any]:
        """The row of an epoch."""
        return self.history[epoch]

    def document(self) -> dict[str, Any]:
        """JSON of how the training went."""
        first, best, last = self.row(0), self.row(self.best_epoch), self.row(-1)
        keys = "validation_loss", "validation_score"
        return {
            "best_epoch": self.best_epoch,
            "epochs": len(self.history) - 1,
            "stopped": self.stopped,
            "frozen": {k: first[k] for k in keys},
            "finetuned": {k: best[k] for k in keys},
            "last": {k: last[k] for k in keys},
            "stages": self.stages,
            "elapsed_s": round(self.elapsed_s, 3),
        }


@dataclass
class TrainingProgress:
    """All that there is to know of a training but for its tensors; plain JSON.

    Attributes
    ----------
    step, epoch, position : int
        Steps done, whole epochs done, and steps done of the epoch under way.
    loss_sum, n_seen, n_right : float, int, int
        Of the epoch under way.
    rate : float
        Learning rate of the last step.
    parts : int
        That a step's images are computed in since memory ran out; 0 where it did not.
    best_epoch : int
    stopped : str
        Why it ended; empty while it goes on.
    elapsed_s, epoch_s : float
        Of all, and of the epoch under way.
    history : list of dict
        See `Trained`.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    loss_sum: float = 0.0
    n_seen: int = 0
    n_right: int = 0
    rate: float = 0.0
    parts: int = 0
    best_epoch: int = 0
    stopped: str = ""
    elapsed_s: float = 0.0
    epoch_s: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def last_is_best(self, monitor: str) -> bool:
        """Whether the last epoch is to be kept rather than the one kept so far.

        Parameters
        ----------
        monitor : {"last", "score", "loss"}
            Of the validation images; of equal scores the smaller loss is better. ``last`` keeps
            each epoch in turn.
        """
        *before, last = self.history
        if not before or monitor == "last":
            return True
        return epoch_rank(last, monitor) < epoch_rank(before[self.best_epoch], monitor)

    def since_best(self, monitor: str) -> int:
        """Epochs since the best one of the validation images; of epochs kept in turn, by score."""
        ranks = [epoch_rank(row, monitor) for row in self.history]
        return len(ranks) - 1 - ranks.index(min(ranks))
