"""The network that ships: trained once more, on the validation images too.

They have chosen the recipe and the temperature, and decided between the frozen and the fine-tuned
model; then they are as good to train on as all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx.config import FinetuneConfig
    from featx.finetuning import Task, Trained


@dataclass(frozen=True)
class Refitted:
    """A training repeated on training and validation images.

    Parameters
    ----------
    name : str
    n_training : int
    trained : Trained
    """

    name: str
    n_training: int
    trained: Trained

    @property
    def history(self) -> list[dict[str, Any]]:
        """A row an epoch, without anything of validation images."""
        return self.trained.history

    def document(self) -> dict[str, Any]:
        """JSON of how it went."""
        return {
            "name": self.name,
            "n_training": self.n_training,
            "epochs": len(self.history) - 1,
            "stopped": self.trained.stopped,
            "elapsed_s": round(self.trained.elapsed_s, 3),
        }


def refit(task: Task, config: FinetuneConfig, temperature: float) -> Refitted | None:
    """Train once more with the same recipe, for as many epochs as were kept.

    Parameters
    ----------
    task : Task
        Of training and validation images together, with a fresh copy of the backbone.
    config : FinetuneConfig
        As the first training had it.
    temperature : float
        That calibrated the first training on its validation images; no image is left to calibrate
        on.

    Returns
    -------
    Refitted or None
        None where it diverged.
    """
    from featx.finetuning import train

    trained = train(task, config.model_copy(update={"monitor": "last"}))
    if trained.diverged:
        return None
    trained.classifier.cool(temperature)
    return Refitted(task.name, len(task.training), trained)
