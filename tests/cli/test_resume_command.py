"""``featx fit`` killed in the middle: the same command goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import BACKBONE

Featx = Callable[..., Any]

N_FITS = 3 * 200
FLAGS = [
    "--head",
    "ridge",
    "--search",
    "random",
    "--trials",
    "200",
    "--estimate",
    "cv",
    "--cv",
    "3",
]
FIT = ["fit", "photos", *BACKBONE, *FLAGS, "-j", "1", "--name", "killed", "--json"]


def known(runs: Path) -> int:
    return sum(p.read_bytes().count(b"\n") for p in (runs / ".searches").glob("*.jsonl"))


def results(text: str) -> dict[str, Any]:
    document = json.loads(text)
    for key in ("elapsed_s", "cost", "run", "extraction"):
        document.pop(key)
    document["search"].pop("resumed_fits")
    for candidate in [*document["candidates"], document["chosen"]]:
        candidate.pop("elapsed_s")
    return document


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_killed_fit_goes_on(featx: Featx, tmp_path: Path, workspace: Path) -> None:
    assert featx("extract", "photos", *BACKBONE).code == 0
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "featx", *FIT, "--runs", str(runs)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=workspace
    )
    deadline = time.monotonic() + 120
    while known(runs) < 9 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (runs / "killed").exists()
    before = known(runs)
    assert 9 <= before < N_FITS

    again = featx(*FIT, "--runs", str(runs))
    assert again.code == 0, again.err
    assert json.loads(again.out)["search"]["resumed_fits"] == before
    assert known(runs) == N_FITS

    elsewhere = tmp_path / "elsewhere"
    fresh = featx(*FIT, "--runs", str(elsewhere), "--no-resume")
    assert results(again.out) == results(fresh.out)
    assert not (elsewhere / ".searches").exists()
