"""The history of scorings: whole lines, torn lines, several writers, and other people's files."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import featx
from featx.artifact import Model
from featx.config import ExtractConfig, ScoreConfig
from featx.errors import UsageError
from featx.scoring.history import add_line, read_history


def entry(rows: int) -> dict[str, object]:
    return {"date": "2026-01-01T00:00:00+00:00", "model": "m" * 300, "rows": rows}


def rows_of(path: Path) -> list[int]:
    return [json.loads(line)["rows"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("tail", "kept", "said"),
    [
        (b"", [1, 2], False),
        (b'{"date": "2026-01-01", "mo', [1, 2], True),
        (b'{"date": "2026-01-01", "model": "x", "rows": 9}', [1, 9, 2], False),  # only its end
        (b"x" * 200_000, [1, 2], True),
    ],
)
def test_a_line_that_was_cut_off_is_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tail: bytes, kept: list[int], said: bool
) -> None:
    path = tmp_path / "h.jsonl"
    add_line(path, entry(1))
    with path.open("ab") as file:
        file.write(tail)
    add_line(path, entry(2))
    assert rows_of(path) == kept
    assert ("was cut off" in capsys.readouterr().err) == said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["h.jsonl"]


def test_an_only_line_that_was_cut_off(tmp_path: Path, fitted: Model, images: Path) -> None:
    path = tmp_path / "h.jsonl"
    path.write_bytes(b'{"date": "2026-01-0')
    featx.score(fitted, images, cache=tmp_path / "cache", history=path)
    assert rows_of(path) == [9]


def test_writers_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "new" / "h.jsonl"

    def write(first: int) -> None:
        for i in range(20):
            add_line(path, entry(first + i))

    with ThreadPoolExecutor(3) as writers:  # a lock is of a handle, as it is between processes
        list(writers.map(write, (0, 100, 200)))
    assert sorted(rows_of(path)) == [100 * k + i for k in range(3) for i in range(20)]


def test_each_scoring_adds_a_line_and_the_page_shows_them(
    fitted: Model, images: Path, tmp_path: Path, config: ExtractConfig
) -> None:
    path, page = tmp_path / "h.jsonl", tmp_path / "p.html"
    for _ in range(2):
        settings = ScoreConfig(history=str(path), report=str(page), overwrite=True)
        featx.score(fitted, images, config=settings, extract=config)
    found = read_history(path)
    assert [line["scored"] for line in found] == [7, 7]
    assert found[0]["quarantined"] == pytest.approx(2 / 9)
    assert found[0]["classes"] == {"=green": 3, "blue": 2, "red": 2}
    assert found[0]["drift"] is None
    text = page.read_text("utf-8")
    assert "2 scorings in the history" in text
    assert "--history" not in text  # making the page again adds no line


def test_other_files_are_left_alone(fitted: Model, images: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.jsonl"
    other.write_text('{"a": 1}\n')
    cases = {other: "is not a history", images / "h.jsonl": "lies inside"}
    (tmp_path / "folder").mkdir()
    cases[tmp_path / "folder"] = "is a folder"
    (tmp_path / "link.jsonl").symlink_to(other)
    cases[tmp_path / "link.jsonl"] = "is a link"
    for path, message in cases.items():
        with pytest.raises(UsageError, match=message):
            featx.score(fitted, images, history=path)
    same = tmp_path / "same.jsonl"
    with pytest.raises(UsageError, match=r"--history .* is what -o writes"):
        featx.score(fitted, images, history=same, output=same)
    assert other.read_text() == '{"a": 1}\n'


def test_a_history_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "h.jsonl").mkdir()
    add_line(tmp_path / "h.jsonl", entry(1))
    assert "nothing was added to" in capsys.readouterr().err


def test_lines_that_somebody_broke_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    add_line(path, entry(1))
    with path.open("a") as file:
        file.write('nonsense\n[1]\n{"date": 3}\n')
    assert [line["rows"] for line in read_history(path)] == [1]
    assert read_history(tmp_path / "absent") == []
