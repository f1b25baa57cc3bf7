"""The network that ships: trained further, on its validation images too.

They have chosen the recipe and the temperature, and decided between the frozen and the fine-tuned
model; then they are as good to train on as all others.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from featx.finetuning.classifier import NetworkClassifier

if TYPE_CHECKING:
    from featx.config import FinetuneConfig
    from featx.finetuning import Task, Trained

#: Chosen by the row clothing-rest of benchmarks/finetune_real.py (docs/finetune.md).
SHARE = 1 / 3  # of the epochs
AVERAGED = 0.5  # of the steps


@dataclass(frozen=True)
class Refitted:
    """A network trained further, on training and validation images.

    Parameters
    ----------
    name : str
    n_training : int
        Images.
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


def refit_epochs(epochs: int) -> int:
    """Epochs of a refit after a training that kept its epoch ``epochs``."""
    return max(1, round(SHARE * epochs))


def refit(
    task: Task, config: FinetuneConfig, first: Trained, temperature: float
) -> Refitted | None:
    """Train a network further on all images, while the learning rate rises and falls once more.

    The mean of the weights before and after is kept, as of the ends of two cycles of the rate:
    Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018,
    https://arxiv.org/abs/1803.05407.

    Parameters
    ----------
    task : Task
        Of training and validation images together, none of which validates.
    config : FinetuneConfig
        As the first training had it, with its rates resolved.
    first : Trained
        The first training, which is left as it is.
    temperature : float
        That calibrated it on its validation images; no image is left to calibrate the other on.

    Returns
    -------
    Refitted or None
        None where it diverged.

    Raises
    ------
    DatasetError, DecodeError
        See `featx.finetuning.train`.
    """
    from featx.finetuning import train

    start = copy.deepcopy(first.classifier)
    start.cool(1 / temperature)
    head = replace(start.head_weights(), dropout=task.head.dropout)
    task = replace(task, backbone=copy.deepcopy(start.backbone), head=head)
    trained = train(task, _continued(config, first.best_epoch))
    if trained.diverged:
        return None
    _mix(trained.classifier, start)
    trained.classifier.cool(temperature)
    return Refitted(task.name, len(task.training), trained)


def _continued(config: FinetuneConfig, n_epochs: int) -> FinetuneConfig:
    """The recipe of a refit: everything is unfrozen that was, and nothing monitors it."""
    changes = {
        "epochs": refit_epochs(n_epochs),
        "start": "fitted",
        "head_rate": 1.0,
        "unfreeze": "all" if config.unfreeze == "gradual" else config.unfreeze,
        "schedule": "cosine",
        "ema": 0.0,
        "average_last": AVERAGED,
        "monitor": "last",
    }
    return config.model_copy(update=changes)


@torch.no_grad()
def _mix(classifier: NetworkClassifier, other: NetworkClassifier) -> None:
    """Make every weight the mean of both networks'."""
    theirs = other.state_dict()
    for name, tensor in classifier.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(theirs[name].to(tensor.device), 0.5)
