"""Nothing that a person owns is replaced or deleted, and what cannot be written is known early."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import featx as library
from featx.api.demo import DEMO, MARK, make_images
from featx.errors import UsageError
from featx.ours import FileKind
from featx.outputs import Output, claimed
from tests.lab import NETWORK, Featx, flags

BACKBONE = flags(NETWORK)
FIT = ["fit", "photos", *BACKBONE, "--cv", "3", "-j", "1"]


@pytest.fixture
def place(
    featx: Featx, run_folder: Path, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """``photos``, ``runs/{first,second}``, manifests, and files and a folder of a person's own."""
    shutil.copytree(workspace / "photos", tmp_path / "photos")
    for name in ("first", "second"):
        shutil.copytree(run_folder, tmp_path / "runs" / name)
    names = [p.relative_to(tmp_path).as_posix() for p in sorted((tmp_path / "photos").rglob("*.*"))]
    (tmp_path / "list.csv").write_text("path\n" + "\n".join(names[:5]) + "\n")
    os.link(tmp_path / "list.csv", tmp_path / "same.csv")
    (tmp_path / "away").symlink_to("photos")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    for ending in ("csv", "jsonl", "parquet", "html", "md", "json", "npz", "h5", "onnx", "png"):
        (tmp_path / f"mine.{ending}").write_text("path,label\nmine,1\n")
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text(
        '{"schema_version": 1, "source": "", "serious": [], "summary": []}'
    )
    (tmp_path / "audit" / "exclude.csv").write_text("path,reason\n")
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(root: Path) -> dict[str, bytes | str]:
    """Everything below a folder."""
    return {
        path.relative_to(root).as_posix(): str(path.readlink())
        if path.is_symlink()
        else b""
        if path.is_dir()
        else path.read_bytes()
        for path in root.rglob("*")
    }


SCORE = ["score", "runs/first"]
REFUSED = [
    [*FIT, "--runs", ".", "--name", "photos"],
    [*FIT, "--runs", ".", "--name", "away"],
    [*FIT, "--runs", ".", "--name", "mine"],
    [*FIT, "--runs", ".", "--name", "mine.csv"],
    [*FIT, "--runs", "photos", "--name", "x"],
    [*FIT, "--runs", "away/blue", "--name", "x"],
    [*FIT, "--name", "x", "--mlflow", "photos"],
    [*FIT, "--name", "x", "--cache", "photos"],
    [*FIT, "--name", "x", "--cache", "away/cache"],
    ["extract", "photos", *BACKBONE, "--cache", "photos/cache"],
    ["finetune", "photos", *BACKBONE, "--runs", ".", "--name", "photos"],
    ["finetune", "photos", *BACKBONE, "--name", "x", "--tensorboard", "photos"],
    ["finetune", "photos", *BACKBONE, "--preview", "photos/blue/00.png"],
    ["finetune", "photos", *BACKBONE, "--preview", "mine.png"],
    [*SCORE, "photos", "-o", "mine.csv"],
    [*SCORE, "photos", "-o", "mine.jsonl"],
    [*SCORE, "photos", "-o", "mine.parquet"],
    [*SCORE, "photos", "-o", "photos/scores.csv"],
    [*SCORE, "photos", "-o", "runs/first/predictions.csv"],
    [*SCORE, "list.csv", "-o", "list.csv"],
    [*SCORE, "list.csv", "-o", "same.csv"],
    [*SCORE, "photos", "-o", "x.csv", "--report", "mine.html"],
    [*SCORE, "photos", "-o", "x.csv", "--report", "x.csv"],
    [*SCORE, "photos", "-o", "x.csv", "--sort-into", "photos"],
    [*SCORE, "photos", "-o", "x.csv", "--sort-into", "photos/sorted"],
    [*SCORE, "photos", "-o", "x.csv", "--sort-into", "mine"],
    [*SCORE, "photos", "-o", "x.csv", "--sort-into", "away"],
    [*SCORE, "photos", "-o", "x.csv", "--sort-into", "."],
    [*SCORE, "photos", "-o", "x.csv", "--sort-into", "runs/first"],
    [*SCORE, "photos", "-o", "new/x.csv", "--sort-into", "new"],
    ["audit", "photos", *BACKBONE, "-o", "photos"],
    ["audit", "photos", *BACKBONE, "-o", "photos/audit"],
    ["audit", "photos", *BACKBONE, "-o", "mine"],
    ["audit", "photos", *BACKBONE, "-o", "mine.csv"],
    ["audit", "photos", *BACKBONE, "-o", "audit", "--exclude", "audit/exclude.csv"],
    ["report", "runs/first", "-o", "mine.html"],
    ["report", "runs/first", "-o", "photos/x.html"],
    ["report", "runs/first", "-o", "runs/first/results.json"],
    ["report", "runs/first", "--figures", "photos"],
    ["report", "runs/first", "--figures", "mine"],
    ["compare", "runs/first", "runs/second", "--html", "mine.html"],
    ["compare", "runs/first", "runs/second", "--markdown", "mine.md"],
    ["compare", "runs/first", "runs/second", "--json", "mine.json"],
    ["compare", "runs/first", "runs/second", "--json", "runs/second/results.json"],
    ["compare", "runs/first", "runs/second", "--disagreements", "mine.csv"],
    ["export", "runs/first", "-o", "mine.onnx", "--images", "photos"],
    ["export", "runs/first", "-o", "runs/first/m.onnx", "--images", "photos"],
    ["cache", "export", "timm", "-o", "mine.npz"],
    ["cache", "export", "timm", "-o", "mine.h5"],
    ["cache", "export", "timm", "-o", "mine.parquet"],
    ["cache", "export", "timm", "-o", "photos/x.npz", "--dataset", "photos"],
    ["cache", "export", "timm", "-o", "photos", "--to", "tensorboard", "--dataset", "photos"],
    ["cache", "export", "timm", "-o", "mine", "--to", "tensorboard"],
    ["demo", "--folder", "photos"],
    ["demo", "--folder", "mine"],
    ["demo", "--folder", "runs/first"],
]


def _named(arguments: list[str]) -> str:
    return " ".join(a[:20] for a in arguments if a not in BACKBONE)


@pytest.mark.parametrize("arguments", REFUSED, ids=_named)
def test_nothing_of_a_persons_own_is_touched(
    featx: Featx, place: Path, arguments: list[str]
) -> None:
    before = contents(place)
    has = arguments[0] != "extract" and "--preview" not in arguments
    done = featx(*arguments, *(["--overwrite"] if has else []))
    assert done.code == 2, done
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err
    assert contents(place) == before


UNWRITABLE = [
    [*FIT, "--runs", "file"],
    [*FIT, "--runs", "file/runs", "--name", "x"],
    [*FIT, "--runs", "n" * 300, "--name", "x"],
    [*FIT, "--name", "n" * 300],
    [*FIT, "--name", "x", "--mlflow", "file/mlflow"],
    ["finetune", "photos", *BACKBONE, "--runs", "file"],
    ["finetune", "photos", *BACKBONE, "--preview", "file/x.png"],
    [*SCORE, "photos", "-o", "file/x.csv"],
    [*SCORE, "photos", "-o", f"{'n' * 300}.csv"],
    [*SCORE, "photos", "-o", "x.csv", "--report", "file/x.html"],
    [*SCORE, "photos", "-o", "x.csv", "--sort-into", "file/x"],
    ["audit", "photos", *BACKBONE, "-o", "file/x"],
    ["report", "runs/first", "-o", "file/x.html"],
    ["report", "runs/first", "--figures", "file/x"],
    ["compare", "runs/first", "runs/second", "--json", "file/x.json"],
    ["compare", "runs/first", "runs/second", "--disagreements", "file/x.csv"],
    ["export", "runs/first", "-o", "file/x.onnx", "--images", "photos"],
    ["cache", "export", "timm", "-o", "file/x.npz"],
    ["cache", "export", "timm", "-o", "file/x", "--to", "tensorboard"],
    ["demo", "--folder", "file/x"],
]


@pytest.mark.parametrize("arguments", UNWRITABLE, ids=_named)
def test_what_cannot_be_written_is_known_before_the_work(
    featx: Featx, place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def worked(*given: object, **named: object) -> None:
        raise AssertionError("an image was read")

    for module in ("extraction.embedding", "scoring.folder", "reporting.run_report"):
        monkeypatch.setattr(f"featx.{module}.run_extractors", worked)
    before = contents(place)
    done = featx(*arguments)
    assert done.code == 2, done
    assert "cannot be written: " in done.err
    assert any(words in done.err for words in ("is a file", "File name too long"))
    assert contents(place) == before


def test_a_second_command_of_the_same_name_is_refused(featx: Featx, place: Path) -> None:
    """Before it reads an image; it does not matter what the first one writes there."""
    kind = FileKind("a text", lambda path: False)
    for path, arguments in (
        ("runs/x", [*FIT, "--name", "x"]),
        ("runs/x", ["finetune", "photos", *BACKBONE, "--name", "x"]),
        ("x.csv", [*SCORE, "photos", "-o", "x.csv"]),
        ("x", [*SCORE, "photos", "-o", "y.csv", "--sort-into", "x"]),
    ):
        with claimed([Output(path, "-o", kind)]):
            before = contents(place)
            done = featx(*arguments)
            assert done.code == 2
            assert f"Error: Another featx command is writing '{path}' (pid " in done.err
            assert contents(place) == before


def test_notes_in_a_run_are_kept(featx: Featx, place: Path) -> None:
    notes = place / "runs" / "first" / "notes.txt"
    notes.write_text("mine")
    before = contents(place)
    done = featx(*FIT, "--name", "first", "--overwrite")
    assert done.code == 2
    assert "holds 'notes.txt', which featx did not write" in done.err
    assert contents(place) == before
    notes.unlink()
    (place / "runs" / "first" / ".DS_Store").touch()  # which nobody would miss
    assert featx(*FIT, "--name", "first", "--overwrite").code == 0
    assert not (place / "runs" / "first" / ".DS_Store").exists()
    hidden = {p.name for p in (place / "runs").iterdir()}
    assert hidden == {"first", "second", ".searches"}


def test_a_run_of_which_the_replacement_was_killed_is_put_back(featx: Featx, place: Path) -> None:
    """By whatever reads it next."""
    run, aside = place / "runs" / "first", place / "runs" / ".first.77.0123abcd.old"
    for arguments in (
        [*SCORE, "photos", "-o", "x.csv"],
        ["compare", "runs/second", "runs/first"],
        ["report", "runs/first", "--no-heat-maps"],
        ["finetune", "photos", *BACKBONE, "--from", "runs/first", "--name", "second"],
    ):
        run.rename(aside)
        done = featx(*arguments)
        assert "runs/first was being replaced when that command was killed" in done.err
        assert done.code == (2 if arguments[0] == "finetune" else 0)
        assert not aside.exists()
    run.rename(aside)
    assert featx(*FIT, "--name", "first").code == 2  # it is there


def test_the_library_is_as_careful(featx: Featx, place: Path) -> None:
    before = contents(place)
    settings = {**NETWORK, "cv": 3, "jobs": 1, "overwrite": True}
    with pytest.raises(UsageError, match="is the images"):
        library.fit("photos", runs=".", name="photos", **settings)
    with pytest.raises(UsageError, match="holds the images"):
        library.fit("photos/blue", runs=".", name="photos", **settings)
    with pytest.raises(UsageError, match="is not a table of scores"):
        library.score("runs/first", "photos", output="mine.csv", overwrite=True)
    with pytest.raises(UsageError, match="is the model"):
        library.score("runs/first", "photos", sort_into="runs/first", overwrite=True)
    assert contents(place) == before


def test_outputs_of_their_own_are_replaced_on_request(featx: Featx, place: Path) -> None:
    """Each twice: with --overwrite only, and never by another kind."""
    extractor = json.loads(featx("cache", "ls", "--json").out)[0]["name"]
    for arguments, made in (
        (["compare", "runs/first", "runs/second", "--json", "c.json"], "c.json"),
        (["compare", "runs/first", "runs/second", "--markdown", "c.md"], "c.md"),
        (["compare", "runs/first", "runs/second", "--html", "c.html"], "c.html"),
        (["compare", "runs/first", "runs/second", "--disagreements", "d.csv"], "d.csv"),
        ([*SCORE, "photos", "-o", "s.jsonl"], "s.jsonl"),
        ([*SCORE, "photos", "-o", "s.parquet"], "s.parquet"),
        ([*SCORE, "photos", "-o", "s.csv", "--proba", "--top-k", "2"], "s.csv"),
        (["cache", "export", extractor, "-o", "e.npz"], "e.npz"),
        (["cache", "export", extractor, "-o", "e.h5"], "e.h5"),
        (["cache", "export", extractor, "-o", "e.parquet"], "e.parquet"),
        (["audit", "photos", *BACKBONE, "-o", "found"], "found"),
    ):
        assert featx(*arguments).code == 0
        refused = featx(*arguments)
        assert (refused.code, "exists already" in refused.err) == (2, True)
        assert featx(*arguments, "--overwrite").code == 0
        assert Path(made).exists()
    assert featx("finetune", "photos", *BACKBONE, "--preview", "p.png").code == 0
    assert featx("finetune", "photos", *BACKBONE, "--preview", "p.png").code == 0
    crossed = featx(*SCORE, "photos", "-o", "d.csv", "--overwrite")
    assert (crossed.code, "is not a table of scores" in crossed.err) == (2, True)
    assert not [path.name for path in place.iterdir() if path.name.startswith(".")]


def test_a_demo_with_photos_in_it_is_kept(featx: Featx, tmp_path: Path) -> None:
    root = tmp_path / "featx-demo"
    make_images(root)
    (root / MARK).touch()
    assert DEMO.fault(root) is None
    for name in ("digits/train/3/me.jpg", "holiday.png", "runs/notes.txt", "sorted/3/x.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("mine")
        before = contents(tmp_path)
        done = featx("demo", "--folder", root, "--overwrite")
        assert done.code == 2
        assert f"holds '{name}', which featx did not write" in done.err
        assert contents(tmp_path) == before
        (root / name).unlink()


def test_a_hint_names_the_flags_that_mend_it(
    featx: Featx, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder of images itself, what to give for each default that would lie in it."""
    monkeypatch.delenv("FEATX_CACHE")
    monkeypatch.chdir(place / "photos")
    before = contents(place)
    done = featx("fit", ".", *BACKBONE, "--cv", "3")
    assert done.code == 2
    assert "--runs 'runs/photos-2" in done.err
    assert done.err.rstrip().endswith("for instance --runs ../runs --cache ../cache")
    done = featx("fit", ".", *BACKBONE, "--cv", "3", "--runs", "../runs")
    assert done.code == 2
    assert done.err.rstrip().endswith("for instance --cache ../cache")
    assert contents(place) == before


def test_a_cache_may_share_its_folder(
    featx: Featx, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--cache .`` and runs beside it are fine; the extractors are not to be written into."""
    monkeypatch.delenv("FEATX_CACHE")
    fit = [*FIT, "--cache", ".", "--runs", ".", "--no-report"]
    for more in (["--name", "r"], ["--name", "r", "--overwrite"]):
        done = featx(*fit, *more)
        assert done.code == 0, done.err
    score = ["score", "r", "photos", "--cache", ".", "-o"]
    assert featx(*score, "s.csv").code == 0
    extractor = next(p.name for p in place.iterdir() if (p / "extractor.json").exists())
    for output in (f"{extractor}/s.csv", "cache.csv"):
        done = featx(*score, output, "--sort-into", extractor, "--overwrite")
        assert done.code == 2
        assert f"the cache ('{place / extractor}')" in done.err
    done = featx(*FIT, "--cache", "r", "--runs", ".", "--name", "r", "--overwrite")
    assert done.code == 2
    assert "--runs 'r' is the cache" in done.err


def test_a_configuration_is_refused_before_the_fit_for_what_scoring_writes(
    featx: Featx, place: Path
) -> None:
    (place / "c.yaml").write_text(
        "data: {dataset: photos}\nfit: {name: y}\n"
        "score: {images: new, output: new/scores.csv, overwrite: true}\n"
    )
    shutil.copytree(place / "photos", place / "new")
    done = featx("run", "c.yaml")
    assert done.code == 2
    assert "-o 'new/scores.csv' lies inside the images ('new')" in done.err
    assert not (place / "runs" / "y").exists()
