"""What `featx.fit` and `featx.finetune` give back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.artifact import Model

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    folder : Path
        Where it was written.
    results : dict
        The content of ``results.json``.
    model : Model
        The fitted model, as `featx.load_model` would return it.
    """

    folder: Path
    results: dict[str, Any]
    model: Model
