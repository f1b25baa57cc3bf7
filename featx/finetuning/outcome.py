"""What came of one fine-tune: both models, which network ships, and what to remember of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featx.finetuning.guard import PairedChange, no_better_epoch
from featx.fitting import FitResult
from featx.types import BoolArray

if TYPE_CHECKING:
    from featx.finetuning import Searched, Trained
    from featx.finetuning.refitting import Refitted


@dataclass(frozen=True)
class TrainingRecord:
    """How one training went: JSON, and by name (the training, its refit) a row for each epoch."""

    document: dict[str, Any]
    histories: dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Outcome:
    """What came of one fine-tune.

    Parameters
    ----------
    name : str
    frozen : FitResult
        The head fitted on the frozen embeddings of all the training images.
    warm : FitResult
        The same without the validation part: what training started from.
    trained : Trained
    validation : ndarray of shape (n,), bool
        Images of the part that said when to stop.
    change : PairedChange, optional
        What training did to the predictions of the validation images; without it no epoch was
        better than none.
    monitor : {"last", "score", "loss"}
    scoring : str
    searched : Searched, optional
        What was tried, where hyperparameters were searched.
    refitted : Refitted, optional
        The network trained further on all of its images, where that was asked for and it was not
        below its warm start: what ships, and predicts other images.
    """

    name: str
    frozen: FitResult
    warm: FitResult
    trained: Trained
    validation: BoolArray
    change: PairedChange | None = None
    monitor: str = "last"
    scoring: str = "balanced_accuracy"
    searched: Searched | None = None
    refitted: Refitted | None = None

    @property
    def shipped(self) -> Trained:
        """The fine-tuned network that predicts new images."""
        return self.trained if self.refitted is None else self.refitted.trained

    @property
    def base(self) -> FitResult:
        """The head on frozen embeddings of the images that `shipped` was trained on."""
        return self.warm if self.refitted is None else self.frozen

    @property
    def fell(self) -> str | None:
        """How the fine-tune is not better than its warm start on the validation part, if so."""
        if self.change is None:
            trained = self.trained
            return no_better_epoch(
                trained.history, self.monitor, self.scoring, stopped=trained.stopped
            )
        return self.change.below(self.monitor)

    @property
    def still_improving(self) -> bool:
        """Whether the last epoch, which no patience ended, was the best one.

        Best by the score on the validation images, and of equal ones by the loss.
        """
        from featx.finetuning.task import epoch_rank

        _, *ranks = [epoch_rank(row, "score") for row in self.trained.history]
        return self.trained.stopped == "epochs" and len(ranks) > 1 and ranks[-1] < min(ranks[:-1])

    @property
    def record(self) -> TrainingRecord:
        """What to remember when the network is let go."""
        document = {
            "name": self.name,
            "n_training": int(self.warm.settings["n_images"]),
            "n_validation": int(self.validation.sum()),
            "watched": self.monitor,
            "below_warm_start": self.fell,
            "still_improving": self.still_improving,
            "validation_change": None if self.change is None else self.change.document(),
            **self.trained.document(),
        }
        if self.searched is not None:
            document["search"] = self.searched.document()
        histories = {self.name: self.trained.history}
        if self.refitted is not None:
            document["refit"] = self.refitted.document()
            histories[self.refitted.name] = self.refitted.history
        return TrainingRecord(document, histories)
