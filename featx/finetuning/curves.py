"""Curves in TensorBoard's format, written as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featx.errors import MissingExtraError
from featx.finetuning.task import Watcher

#: What TensorBoard calls the columns of a history; those before the slash share a chart's heading.
TAGS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "validation_score": "score/validation",
    "learning_rate": "learning_rate",
    "images_per_s": "images_per_s",
}


@contextmanager
def writing_curves(folder: Path | None) -> Iterator[Watcher]:
    """A watcher that writes each epoch into event files, at once, while the block runs.

    What a training that was interrupted wrote there before is replaced by all of its epochs.

    Parameters
    ----------
    folder : Path or None
        Of this training alone; None writes nothing.

    Raises
    ------
    MissingExtraError
        tensorboard is not installed.
    OSError
        The folder cannot be written.
    """
    if folder is None:
        yield lambda history: ""
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError("--tensorboard", "tensorboard") from None
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    n_written = 0
    with SummaryWriter(folder) as writer:

        def write(history: list[dict[str, Any]]) -> str:
            nonlocal n_written
            for row in history[n_written:]:
                for column, tag in TAGS.items():
                    if row[column] is not None:
                        writer.add_scalar(tag, row[column], row["epoch"])
            writer.flush()
            n_written = len(history)
            return ""

        yield write
