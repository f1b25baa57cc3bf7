"""Ctrl-C in the middle of a fit that cannot be stopped: the command ends, and goes on later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from featx.interrupts import workers
from tests.cli.conftest import BACKBONE

Featx = Callable[..., Any]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")

FIT = [
    *("fit", "photos", *BACKBONE, "--head", "ridge", "--head", "svm-rbf", "--cv", "3"),
    *(
        "--estimate",
        "cv",
        "--no-report",
        "--search",
        "random",
        "--trials",
        "3",
        "-j",
        "2",
        "--name",
        "stopped",
        "--json",
    ),
]
# The place of libsvm: a fit that holds its thread in C for a minute, and lets others run.
SLOW = """
import sys, ctypes, importlib
import featx.heads
from featx.heads import HEADS
from featx.fitting import {module}
real, stuck = {module}.{name}, []
def slow(*arguments, **options):
    if not stuck and {when}:
        stuck.append(1)
        sys.stderr.write("stuck\\n"); sys.stderr.flush()
        ctypes.CDLL(None).sleep(60)
    return real(*arguments, **options)
{module}.{name} = slow
from featx.cli.main import main
main(sys.argv[1:])
"""
STUCK = {
    "in a thread": ("executors", "score_trials", "arguments[0][0].setup.head == 'svm-rbf'"),
    "in the refit": ("refit", "fit_head", "True"),
    "in the main thread": ("fit", "fit_trust", "True"),
}


def lines(runs: Path) -> int:
    return sum(p.read_bytes().count(b"\n") for p in (runs / ".searches").glob("*.jsonl"))


@pytest.mark.parametrize(
    ("where", "number"),
    [
        ("in a thread", signal.SIGINT),
        ("in the refit", signal.SIGTERM),
        ("in the main thread", signal.SIGINT),
    ],
)
def test_a_fit_that_is_stuck_ends_and_keeps_what_it_found(
    where: str, number: int, featx: Featx, tmp_path: Path, workspace: Path
) -> None:
    assert featx("extract", "photos", *BACKBONE).code == 0
    runs = tmp_path / "runs"
    module, name, when = STUCK[where]
    code = SLOW.format(module=module, name=name, when=when)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *FIT, "--runs", str(runs)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=workspace,
    )
    assert process.stderr is not None
    said = b""
    while b"stuck" not in said and (line := process.stderr.readline()):
        said += line
    deadline = time.monotonic() + 30
    while lines(runs) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    before = lines(runs)
    process.send_signal(number)
    _, rest = process.communicate(timeout=40)  # less than the fit takes
    assert process.returncode == 130
    assert b"Interrupted. Nothing computed is lost" in rest
    assert b"Traceback" not in rest
    assert lines(runs) >= before >= 3
    before = lines(runs)
    assert not (runs / "stopped").exists()
    if where != "in a thread":
        return
    again = featx(*FIT, "--runs", str(runs))
    assert again.code == 0, again.err
    assert json.loads(again.out)["search"]["resumed_fits"] == before
    fresh = featx(*FIT, "--runs", str(tmp_path / "elsewhere"), "--no-resume")
    found, expected = (json.loads(one.out) for one in (again, fresh))
    for key in ("estimate", "learning_curve", "comparison"):
        assert found[key] == expected[key]
    assert found["chosen"]["fold_scores"] == expected["chosen"]["fold_scores"]


def test_workers_are_waited_for_unless_interrupted() -> None:
    ended: list[int] = []
    futures: list[Future[None]] = []
    go = threading.Event()

    def work() -> None:
        go.wait(30)
        ended.append(1)

    def interrupted() -> None:
        with workers(1) as pool:
            futures.extend([pool.submit(work), pool.submit(work)])
            raise KeyboardInterrupt

    def failing() -> None:
        with workers(1) as pool:
            futures.append(pool.submit(work))
            raise ValueError("x")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    left, never = futures
    assert not ended
    assert never.cancelled()
    go.set()
    left.result(30)
    assert ended == [1]
    with pytest.raises(ValueError, match="x"):
        failing()
    assert futures[-1].done()
    with workers(2) as pool:
        pool.submit(work)
    assert len(ended) in (2, 3)
