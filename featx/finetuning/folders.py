"""Folders that a training writes beside its run: checkpoints, and curves for TensorBoard."""

from __future__ import annotations

import re
from pathlib import Path

from featx.config import FinetuneConfig
from featx.ours import FolderKind
from featx.outputs import Output

_TRAINING = r"(all-images|\d+-images|(\d+-images,-)?fold-\d+-of-\d+)(/trial-\d+)?/"
_CHECKPOINTS = re.compile(
    rf"backbone\.safetensors|{_TRAINING}(last|best)\.safetensors|{_TRAINING}trials\.jsonl"
)
_CURVES = re.compile(rf"{_TRAINING}events\.out\.tfevents\..+")

#: Checkpoints of a training that is not finished.
WORKING = FolderKind(
    "checkpoints",
    lambda folder: re.fullmatch(r"\.finetuning-[0-9a-f]{16}", folder.name) is not None,
    lambda folder: lambda name: _CHECKPOINTS.fullmatch(name) is not None,
)


def _is_curves(folder: Path) -> bool:
    return next(CURVES.strangers(folder), None) is None


CURVES = FolderKind(
    "curves",
    _is_curves,
    lambda folder: lambda name: _CURVES.fullmatch(name) is not None,
    in_place=True,
)


def curves_output(config: FinetuneConfig) -> list[Output]:
    """Curves of a training that was interrupted are written anew."""
    if config.tensorboard is None:
        return []
    folder = Path(config.tensorboard) / str(config.name)
    return [Output(folder, "--tensorboard", CURVES, overwrite=True)]
