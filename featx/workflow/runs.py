"""A run on disk: written beside its final place, synced, then renamed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.config import RunConfig, dump_config
from featx.extraction import Failure
from featx.files import fsync_directory, printable, write_atomic
from featx.fitting import Predictions
from featx.formats import write_rows
from featx.model import Model, save_model
from featx.workflow.curve_summary import CURVE_COLUMNS, curve_rows

__all__ = ["RunContents", "write_run"]


@dataclass(frozen=True)
class RunContents:
    """Everything a run folder holds."""

    config: RunConfig
    results: Mapping[str, Any]
    failures: Sequence[Failure]
    predictions: Predictions
    model: Model


def write_run(folder: Path, contents: RunContents, *, overwrite: bool) -> None:
    """Write a run folder whole or not at all.

    Parameters
    ----------
    folder : Path
        Its final place.
    overwrite : bool
        Replace a run that is there; the old one stays until the new one is complete.

    Raises
    ------
    OSError
        The disk is full or cannot be written; an old run is untouched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    building = folder.with_name(f".{folder.name}.{mark}.tmp")
    building.mkdir()
    try:
        _fill(building, contents, shown=folder)
        fsync_directory(building)
        old = folder.with_name(f".{folder.name}.{mark}.old")
        if overwrite and folder.exists():
            folder.rename(old)
        building.rename(folder)
        fsync_directory(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _fill(folder: Path, contents: RunContents, *, shown: Path) -> None:
    reopen = f"# featx run {printable(str(shown))}/config.yaml --set fit.overwrite=true\n"
    write_atomic(folder / "config.yaml", (reopen + dump_config(contents.config)).encode())
    write_atomic(folder / "results.json", _json(contents.results))
    write_atomic(folder / "environment.json", _json(_environment()))
    rows = [[f.id, f.path, f.sha256 or "", f.reason] for f in contents.failures]
    write_rows(folder / "failures.csv", ["id", "path", "sha256", "reason"], rows)
    predictions = contents.predictions
    write_rows(folder / "predictions.csv", predictions.columns, predictions.rows())
    if (curve := contents.results["learning_curve"]) is not None:
        write_rows(folder / "learning_curve.csv", CURVE_COLUMNS, curve_rows(curve))
    save_model(contents.model, folder / "model")


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def _environment() -> dict[str, Any]:
    """What could make the same command give another number elsewhere."""
    packages = ("featx", "torch", "torchvision", "timm", "scikit-learn", "imbalanced-learn",
                "numpy", "scipy", "pillow")  # fmt: skip
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
