"""``featx score`` as a user types it: exact output and exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from featx.api.score import score
from featx.artifact import Model, save_model
from featx.cli.main import main
from featx.config import ExtractConfig


@pytest.fixture
def ready(
    fitted: Model,
    images: Path,
    config: ExtractConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:
    """A working directory with model ``m``, images ``new``, and everything cached."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEATX_CACHE", raising=False)
    save_model(fitted, tmp_path / "m")
    score(fitted, images, extract=config)
    capsys.readouterr()
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["score", *arguments])
    code = ended.value.code
    assert isinstance(code, int)
    return code


TABLE = "class   images\n──────  ──────\n=green       3\nblue         2\nred          2\n"
SUMMARY = (
    "→ 7 of 9 files read and predicted: '=green' 3, 'blue' 2, 'red' 2.\n"
    "→ Passed over: 1 .txt.\n"
    "→ 2 of 9 files cannot be read (22.2 %).\n"
    "→ Drift: not tested. The model has no sample of its training images: fit it again to have "
    "one.\n"
    "→ Next: use the rows.\n"
    "\nPage: none; --report FILE writes one\nScores: out.csv\n"
)
SAID = (
    "9 images: 7 cached, 0 computed, 2 quarantined; {elapsed}.\n"
    "Warning: quarantined broken.jpg: {broken}\n"
    "Warning: quarantined sub/empty.png: {empty}\n"
    "9 rows written to out.csv\n"
    "Passed over in 'new': 1 .txt.\n"
)


def test_the_default(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("m", "new", "-o", "out.csv") == 0
    said = capsys.readouterr()
    assert said.out == SUMMARY
    rows = [line.split(",", 3) for line in Path("out.csv").read_text().splitlines()]
    reasons = {row[0]: row[3].strip('"') for row in rows}
    assert said.err == SAID.format(
        elapsed=said.err.splitlines()[0].rpartition("; ")[2].removesuffix("."),
        broken=reasons["broken.jpg"],
        empty=reasons["sub/empty.png"],
    )
    assert rows[0] == ["path", "prediction", "probability", "error"]
    assert len(rows) == 10


def test_verbose_has_the_table_too(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("m", "new", "-o", "out.csv", "-v") == 0
    assert capsys.readouterr().out == f"{TABLE}\n{SUMMARY}"


def test_scores_csv_is_the_default_output(ready: Path) -> None:
    assert run("m", "new", "-q") == 0
    assert Path("scores.csv").exists()


def test_quiet_says_nothing_but_errors(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("m", "new", "-o", "out.csv", "-q") == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    assert len(Path("out.csv").read_text("utf-8").splitlines()) == 10


def test_json(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("m", "new", "-o", "o.jsonl", "--json", "--sort-into", "s") == 0
    document = json.loads(capsys.readouterr().out)
    report = document.pop("report")
    assert (report["computed"], report["cached"]) == (0, 7)
    reasons = [failure.pop("reason") for failure in document["failures"]]
    assert all(reasons)
    assert document == {
        "schema_version": 1,
        "images": 9,
        "scored": 7,
        "quarantined": 2,
        "classes": {"=green": 3, "blue": 2, "red": 2},
        "output": "o.jsonl",
        "averaged": None,
        "threshold": None,
        "drift": None,
        "drift_not_tested": "The model has no sample of its training images: fit it again to have "
        "one.",
        "checks": {
            "quarantined": {
                **dict.fromkeys(("usual", "p")),
                **{"images": 2, "of": 9, "share": 2 / 9, "far_above": False},
            }
        },
        "warnings": [],
        "page": None,
        "passed_over": {".txt": 1},
        "passed_over_because": {".txt": "not an image: .txt"},
        "sorted_into": {"=green": 3, "_unreadable": 2, "blue": 2, "red": 2},
        "failures": [{"id": "broken.jpg"}, {"id": "sub/empty.png"}],
    }


def test_strict_exits_3_with_the_rows_written(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("m", "new", "-o", "out.csv", "--strict") == 3
    assert "Error: 2 of 9 images were quarantined, the first broken.jpg" in capsys.readouterr().err
    assert len(Path("out.csv").read_text().splitlines()) == 10


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["m"], 2, "Missing argument 'DATASET'"),
        (["m", "absent"], 2, "Error: There is no data set at 'absent'."),
        (["absent", "new"], 2, "Error: The model absent does not exist.\nGive a model folder"),
        (["new", "new"], 1, "Error: new holds no model"),
        (["m", "new", "-o", "o.txt"], 2, "Choose from: .csv, .jsonl, .parquet."),
        (["m", "new", "-o", "taken.csv"], 2, "Error: The output 'taken.csv' exists already.\n"),
        (["m", "new", "--top-k", "0"], 2, "top_k"),
        (["m", "new", "--sort-into", "new/sorted"], 2, "lies inside the images"),
        (["m", "new", "--sort-into", "m"], 2, "--sort-into m is the model (m)."),
        (["m", "new", "--move"], 2, "No such option '--move'"),
        (["m", "new", "--backbone", "x"], 2, "No such option"),
        (["m", "new", "--precision", "fp16"], 1, "'fp16' was asked for"),
        (["m", "new", "--on-error", "fail"], 1, "broken.jpg"),
    ],
)
def test_refusals(
    ready: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    Path("taken.csv").write_text("mine")
    assert run(*arguments, "--cache", "cache") == code
    said = capsys.readouterr()
    assert said.out == ""
    assert message.replace("'", "") in said.err.replace("'", "")
    assert Path("taken.csv").read_text() == "mine"
    assert not Path("scores.csv").exists()


def test_sort_into_folders_and_again(ready: Path) -> None:
    assert run("m", "new", "-o", "o.csv", "--sort-into", "sorted", "-q") == 0
    found = {p.relative_to("sorted").as_posix() for p in Path("sorted").rglob("*.*")}
    assert found == {
        ".featx-sorted.json", "_unreadable/broken.jpg", "_unreadable/empty.png",
        "=green/-twin.png", "=green/0.png", "=green/sub__0.png", "blue/1.png",
        "blue/sub__1.png", "red/2.png", "red/sub__2.png",
    }  # fmt: skip
    assert os.path.realpath("sorted/red/2.png") == os.path.realpath("new/2.png")
    again = ("m", "new", "-o", "o.csv", "--sort-into", "sorted", "--copy", "-q")
    assert run(*again) == 2
    assert run(*again, "--overwrite") == 0
    assert not Path("sorted/red/2.png").is_symlink()
    assert Path("sorted/red/2.png").read_bytes() == Path("new/2.png").read_bytes()
