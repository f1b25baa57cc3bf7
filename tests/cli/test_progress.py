"""Whatever takes long moves: each verb on a real terminal, under a clock that hurries."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from featx import console, progress
from tests.cli.conftest import BACKBONE, Featx

pty = pytest.importorskip("pty")


class Watched:
    """A terminal of 100 columns that stderr is, and all that was drawn on it."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.stderr = os.fdopen(slave, "w", encoding="utf-8")
        self.drawn = b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        try:
            while part := os.read(self.master, 65536):
                self.drawn += part
        except OSError:  # the other end is closed
            pass

    def close(self) -> str:
        self.stderr.close()
        self.reader.join()
        os.close(self.master)
        return self.drawn.decode("utf-8")


def lines(drawn: str) -> dict[str, set[str]]:
    """What the line said, by its words without their numbers."""
    found: dict[str, set[str]] = defaultdict(set)
    for part in re.findall(r"\r\x1b\[K([^\r\n\x1b]+)", drawn):
        if not re.search(r"so far|\d left", part):
            continue  # a message, not the line
        found[re.sub(r"[\d,.:/]+.*", "", part.rpartition(" · ")[2]).strip()].add(part)
    return found


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each look at the clock is two seconds after the last, and the thread draws all the time."""
    clock = itertools.count(0.0, 2.0)
    monkeypatch.setattr(progress, "now", lambda: next(clock))
    monkeypatch.setattr(progress, "_drawn_at", -1.0)
    monkeypatch.setattr(progress, "TICK_S", 0.002)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    yield
    assert not progress._open


VERBS = {
    "inspect photos": {"Inspecting", "Reading the data set"},
    "extract photos --cache {to}/c": {"Embedding", "Preparing timm"},
    "audit photos -o {to}/audit --folds 2": {
        "Looking at the files", "Finding nearest neighbours", "Looking for outliers",
        "Looking for doubtful labels", "Looking for shortcuts", "Computing intervals",
        "Drawing the page of the audit",
    },
    "fit photos --cv 2 -j 1 --runs {to} --name r --report": {
        "Search", "Nested search", "Refitting", "Fitting prediction sets and novelty",
        "Computing intervals", "Drawing figures", "Laying out the map", "Writing the run",
    },
    "score runs/first new -o {to}/s.csv --report {to}/s.html": {
        "Loading the model", "Embedding", "Writing the page", "Testing for drift",
    },
    "compare runs/first {twin}": {"Comparing the runs"},
    "report {twin}": {"Drawing figures", "Laying out the map"},
    "finetune photos --epochs 1 --estimate cv --folds 2 --runs {to} --name t --size 32 "
    "--no-report": {"fold", "Validating"},
    "cache verify": {"Verifying"},
    "cache compact": {"Merging shards"},
    "backbones featx:": {"Reading the list of backbones"},
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.split(" -")[0])
def test_each_verb_moves_on_a_terminal(
    verb: str,
    featx: Featx,
    run_folder: Path,
    tmp_path: Path,
    hurried: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twin = shutil.copytree(run_folder, tmp_path / "twin")
    words = verb.format(to=tmp_path, twin=twin).split()
    network = BACKBONE if words[0] in {"extract", "audit", "fit", "finetune"} else []
    terminal = Watched()
    monkeypatch.setattr(sys, "stderr", terminal.stderr)
    result = featx(*words, *network)
    monkeypatch.undo()
    drawn = terminal.close()
    assert result.code == 0, drawn
    found = lines(drawn)
    for label in VERBS[verb]:
        shown = [said for name, said in found.items() if name.startswith(label)]
        assert shown, (label, sorted(found))
    moved = set().union(*found.values())
    assert len(moved) > 2, "the line never changed"
    assert all(len(line) < 100 for line in moved)
    assert "\x1b[K" in drawn[-400:], "the line is erased in the end"


def test_the_line_moves_while_a_step_does_not_end(
    hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread draws: what computes need not."""
    terminal = Watched()
    monkeypatch.setattr(sys, "stderr", terminal.stderr)
    seen = threading.Event()
    real = progress.draw

    def draw() -> None:
        real()
        if len(lines(terminal.drawn.decode("utf-8", "ignore"))["Search"]) >= 4:
            seen.set()

    monkeypatch.setattr(progress, "draw", draw)
    with console.working(), console.progress(10, "Search"):
        assert seen.wait(60), "nothing moved"
    monkeypatch.undo()
    [shown] = [said for name, said in lines(terminal.close()).items() if name == "Search"]
    assert len(shown) >= 4
    assert all("0/10" in line for line in shown)


def test_nothing_is_drawn_under_minus_q(
    featx: Featx, run_folder: Path, tmp_path: Path, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Watched()
    monkeypatch.setattr(sys, "stderr", terminal.stderr)
    result = featx("score", "runs/first", "new", "-o", tmp_path / "s.csv", "-q")
    monkeypatch.undo()
    assert terminal.close() == ""
    assert (result.code, result.out) == (0, "")
