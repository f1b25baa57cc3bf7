"""What tests of several areas share: a small network, and the command line in this process."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from featx import console
from featx.cli import main as cli

#: A small network with seeded random weights, so that nothing is downloaded.
NETWORK: dict[str, Any] = {"backbone": "timm:test_resnet", "pretrained": False, "size": 32}

#: The same numbers on every machine.
NUMERICS: dict[str, Any] = {"engine": "torch", "device": "cpu", "precision": "fp32"}

#: A fine-tuning of that network.
TUNING: dict[str, Any] = {
    **NUMERICS,
    "train_batch": 8,
    "learning_rate": 1e-3,
    "unfreeze": "last-1",
    "refit": False,  # but where it is tested
}


_NOTHING: dict[str, Any] = {"value": None, "low": None, "high": None}

#: The least that the results of a run hold; the run tried five candidates.
RESULTS: dict[str, Any] = {
    "classes": ["a", "b"],
    "scoring": "accuracy",
    "n_groups": None,
    "chosen": {"backbone": "timm:resnet18", "head": "logreg", "sampler": "none"},
    "search": {"trials": 5},
    "estimate": {
        "method": "test",
        "description": "",
        "n_images": 0,
        "interval": "",
        "metrics": {"accuracy": _NOTHING},
        "per_class": {},
        "confusion_matrix": [],
    },
    "dataset": {"source": "photos", "images": 0, "classes": {}},
    "extraction": {},
    "cost": {"extract_s": 1.0, "fit_s": 1.0},
}


def flags(options: dict[str, Any]) -> list[str]:
    """The same for the command line."""
    found = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            found += [f"--{flag}", str(value)]
    return found


def csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table, each by its column names."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def save_pixels(path: Path, pixels: np.ndarray) -> None:
    """An image file of (height, width, 3) values, cut to 0 to 255, in a folder that it makes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Featx = Callable[..., Outcome]


def in_folder(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Featx:
    """`in_process`, with ``folder`` as the working directory and the cache inside it."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FEATX_CACHE", str(folder / "cache"))
    return in_process(capfd)


def in_process(capfd: pytest.CaptureFixture[str]) -> Featx:
    """A function that runs ``featx ARGUMENTS``, with torch loaded once for all of them."""

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        console.set_verbosity(0)
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, out, err)

    return run
