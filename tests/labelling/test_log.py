"""The file of labels: nothing is lost, whatever ends the process or who else writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from featx.errors import DatasetError
from featx.labelling import LabelEvent, LabelLog

WRITER = """
import sys
from featx.labelling import LabelEvent, LabelLog
log = LabelLog(sys.argv[1], who="child")
print("ready", flush=True)
for i in range(100_000):
    log.append([LabelEvent(f"{i}.png", "label", "cat")])
    print(i, flush=True)
"""


def test_labels_are_what_was_decided_last(tmp_path: Path) -> None:
    log = LabelLog(tmp_path / "labels.jsonl", who="ann")
    log.append([LabelEvent("a.png", "label", "cat", "random", 1), LabelEvent("b.png", "unsure")])
    log.append([LabelEvent("a.png", "label", "dog"), LabelEvent("", "class", "bird")])
    log.append([LabelEvent("c.png", "label", "dog"), LabelEvent("d.png", "exclude")])
    again = LabelLog(log.path)
    assert again.labels() == log.labels() == {"a.png": "dog", "c.png": "dog"}
    assert again.classes() == ["cat", "dog", "bird"]
    assert again.decisions()["d.png"].action == "exclude"
    first = again.events()[0]
    assert (first.who, first.chosen, first.batch) == ("ann", "random", 1)
    assert first.when.endswith("+00:00")


def test_undo_takes_a_whole_step_back_and_what_counted_before_counts_again(tmp_path: Path) -> None:
    log = LabelLog(tmp_path / "labels.jsonl")
    log.append([LabelEvent("a.png", "label", "cat")])
    step = log.append([LabelEvent(id, "label", "dog") for id in ("a.png", "b.png")])
    log.undo(step)
    assert log.labels() == {"a.png": "cat"}
    assert len(LabelLog(log.path).events()) == 4, "the file keeps all that happened"


def test_a_line_that_a_crash_cut_off_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    LabelLog(path).append([LabelEvent("a.png", "label", "cat")])
    whole = path.read_bytes()
    for end in (1, 2, len(whole) // 2, len(whole) - 2, len(whole) - 1):
        path.write_bytes(whole + whole[:end].replace(b"a.png", b"b.png"))
        complete = end == len(whole) - 1  # only the newline is missing
        assert set(LabelLog(path).labels()) == ({"a.png", "b.png"} if complete else {"a.png"})
        LabelLog(path).append([LabelEvent("c.png", "label", "dog")])
        assert LabelLog(path).labels()["c.png"] == "dog"
        assert all(json.loads(line) for line in path.read_bytes().splitlines())


def test_nothing_acknowledged_is_lost_by_kill_9_and_another_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        mine, done = LabelLog(path, who="parent"), 0
        while done < 20:
            done = int(child.stdout.readline())
            mine.append([LabelEvent(f"mine-{done}.png", "label", "dog")])
        os.kill(child.pid, signal.SIGKILL)
        told = [int(line) for line in child.stdout.read().split()]
    last = max([done, *told])
    labels = mine.labels()
    assert {f"{i}.png" for i in range(last + 1)} <= set(labels)
    assert {f"mine-{i}.png" for i in range(1, done + 1)} <= set(labels)
    mine.append([LabelEvent("after.png", "label", "cat")])
    assert LabelLog(path).labels()["after.png"] == "cat"


def test_threads_of_two_logs_lose_nothing_and_the_later_of_one_image_wins(tmp_path: Path) -> None:
    logs = [LabelLog(tmp_path / "labels.jsonl", who=str(k)) for k in range(2)]

    def write(k: int) -> None:
        for i in range(15):
            logs[k].append([LabelEvent(f"{k}-{i}.png", "label", "cat")])
            logs[k].append([LabelEvent("both.png", "label", str(k))])

    threads = [threading.Thread(target=write, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logs[0].events() == logs[1].events()
    assert len(logs[0].events()) == 60
    last = [e for e in logs[0].events() if e.id == "both.png"][-1]
    assert logs[1].labels()["both.png"] == last.label


def test_names_that_are_not_utf8_come_back(tmp_path: Path) -> None:
    odd = os.fsdecode(b"gr\xfcn\n.png")
    log = LabelLog(tmp_path / "labels.jsonl")
    log.append([LabelEvent(odd, "label", "=cmd()|'x'")])
    assert LabelLog(log.path).labels() == {odd: "=cmd()|'x'"}
    assert len(log.path.read_bytes().splitlines()) == 1


@pytest.mark.parametrize(
    "line", [b"path,label\n", b"[1]\n", b'{"id": "a", "action": "eat"}\n', b'{"id": 1}\n',
             b'{"id": "a", "action": "label", "label": ""}\n', b"\xff\xfe\n"],
)  # fmt: skip
def test_another_file_is_refused_and_left_alone(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "other.jsonl"
    path.write_bytes(line)
    with pytest.raises(DatasetError, match="line 1 cannot be read"):
        LabelLog(path)
    assert path.read_bytes() == line


def test_an_event_without_what_it_needs_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    log = LabelLog(tmp_path / "labels.jsonl")
    for event in (LabelEvent("a", "label", " "), LabelEvent("", "skip"), LabelEvent("", "undo")):
        with pytest.raises(ValueError, match="needs"):
            log.append([LabelEvent("b", "skip"), event])
    assert not log.path.exists()
