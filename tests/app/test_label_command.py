"""`featx label` and `featx open` on the command line, without a browser."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
from app_lab import draw

from featx.labelling import LabelLog
from tests.lab import Featx, in_process


@pytest.fixture
def featx(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Featx:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "images", [f"{i:02}.png" for i in range(12)])
    return in_process(capfd)


LABEL = ("label", "images", "--no-page", "--engine", "torch")


def test_labels_come_in_and_go_out_without_a_page(featx: Featx, tmp_path: Path) -> None:
    rows = [f"images/{i:02}.png,{'ab'[i % 2]}" for i in range(8)]
    Path("old.csv").write_text("\n".join(["path,label", *rows, "images/99.png,a\n"]))
    done = featx(*LABEL, "--import", "old.csv", "--export", "new.csv", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["images"], found["labelled"]) == (12, 8)
    assert found["classes"] == {"a": 4, "b": 4}
    assert "Imported from 'old.csv': 8 labels." in done.err
    assert "images/99.png" in done.err
    assert len(LabelLog("images-labels.jsonl").labels()) == 8
    lines = Path("new.csv").read_text().splitlines()
    assert lines[0].startswith("path,label")
    assert lines[1].startswith("images/00.png,a")
    assert "featx fit new.csv" in done.err
    again = featx(*LABEL, "--export", "new.csv")  # refused before any work
    assert again.code == 2
    assert "--overwrite" in again.err
    assert featx(*LABEL, "--export", "new.csv", "--overwrite", "-q").code == 0


@pytest.mark.parametrize("command", [("label", "images"), ("open", "runs/none")])
def test_without_the_extra_it_says_what_to_install(
    featx: Featx, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = featx(*command, "--no-browser")
    assert done.code == 1
    assert "pip install 'featx[app]'" in done.err
    assert not Path("images-labels.jsonl").exists()


def test_what_cannot_be_is_refused_before_any_work(featx: Featx) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = featx("label", "images", "--no-browser", "--port", port)
    assert done.code == 2
    assert f"Port {port} cannot be used" in done.err
    for arguments in (
        ("--port", 70000),
        ("--batch", 0),
        ("--random-share", 2),
        ("--export", "x.doc"),
    ):
        assert featx(*LABEL, *arguments).code == 2
    assert featx("open", "images", "--no-browser").code == 2
    assert featx("label", "nowhere", "--no-page").code != 0
    assert not Path("cache").exists()
