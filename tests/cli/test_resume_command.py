"""``featx fit`` killed in the middle: the same command goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import BACKBONE

Featx = Callable[..., Any]

N_FITS = 3 * 40
FLAGS = [
    "--head",
    "ridge",
    "--search",
    "random",
    "--trials",
    "40",
    "--estimate",
    "cv",
    "--cv",
    "3",
]
#: The command, which dies once it has written down nine scores.
DYING = """
import os, signal, sys
from featx.fitting.journal import ScoreFile
add, written = ScoreFile._add, []
def dying(self, entries):
    entries = list(entries)
    add(self, entries)
    written.extend(entries)
    if len(written) >= 9:
        os.kill(os.getpid(), signal.SIGKILL)
ScoreFile._add = dying
from featx.cli.main import main
main(sys.argv[1:])
"""
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
    command = [sys.executable, "-c", DYING, *FIT, "--runs", str(runs)]
    killed = subprocess.run(
        command,
        capture_output=True,
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
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
