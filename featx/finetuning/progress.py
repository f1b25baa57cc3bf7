"""Where training stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from featx.finetuning.task import epoch_rank


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
        See `featx.finetuning.task.Trained`.
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
