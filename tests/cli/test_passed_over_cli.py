"""What every command says of files it does not read, of its folders, names and paths."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from featx.config import DatasetConfig
from featx.data import imagetypes
from tests.cli.conftest import BACKBONE
from tests.lab import Featx, csv_rows

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300)


@pytest.fixture
def field(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``field/``: the photos, a class of HEIC, a PDF, a film and a note; HEIC is not installed."""
    for name in ("featx.data.imagetypes.has_heif", "featx.data.pillow.has_heif"):
        monkeypatch.setattr(name, lambda: False)
    monkeypatch.setattr("featx.data.pillow._formats", lambda: tuple(imagetypes.FORMATS))
    root = workspace / "field"
    if not root.exists():
        shutil.copytree(workspace / "photos", root)
        (root / "fox").mkdir()
        for i in range(3):
            (root / f"fox/IMG_{i}.HEIC").write_bytes(HEIC)
        (root / "red/scan.pdf").touch()
        (root / "red/film.mp4").touch()
        (root / "notes.txt").touch()
    return root


SENTENCE = (
    "Warning: Passed over in 'field': 3 HEIC (needs featx[heif]), 1 PDF, 1 video (.mp4), 1 .txt."
)
FOX = "Folder 'fox' has 3 files, none of which can be read: 3 HEIC (needs featx[heif])."


def test_every_command_ends_with_what_it_passed_over(featx: Featx, field: Path, run_folder: Path):
    fit = ("fit", "field", *BACKBONE, "--name", "field", "--cv", "3", "-j", "1", "--overwrite")
    for command in (
        ("extract", "field", *BACKBONE),
        fit,
        ("audit", "field", *BACKBONE, "--output", "field-audit", "--overwrite"),
        ("score", run_folder, "field", "-o", "field.csv", "--overwrite"),
    ):
        result = featx(*command)
        assert result.code == 0, result.err
        assert result.err.splitlines()[-1] == SENTENCE, command
        assert result.err.count("Passed over") == 1
        assert (FOX in result.err) == (command[0] != "score"), "scoring knows no classes"
    inspected = featx("inspect", "field")
    assert (
        "\nPassed over: 3 HEIC (needs featx[heif]), 1 PDF, 1 video (.mp4), 1 .txt\n"
        in inspected.out
    )
    assert f"→ {FOX}" in inspected.out
    counts = {"HEIC": 3, "PDF": 1, "video (.mp4)": 1, ".txt": 1}
    results = json.loads((field.parent / "runs/field/results.json").read_text())
    assert results["dataset"]["passed_over"] == counts
    assert (
        json.loads((field.parent / "field-audit/audit.json").read_text())["passed_over"] == counts
    )


def test_json_and_strict(featx: Featx, field: Path, run_folder: Path):
    for command in (
        ("inspect", "field"),
        ("extract", "field", *BACKBONE),
        ("score", run_folder, "field", "-o", "field.csv", "--overwrite"),
    ):
        result = featx(*command, "--json", "--strict")
        assert result.code == 3, result.err
        document = json.loads(result.out)
        document = document[0] if isinstance(document, list) else document
        assert document["passed_over"]["HEIC"] == 3
        assert "5 files that may hold images" in result.err or "5 files of types" in result.err
        assert SENTENCE in result.err
    (field.parent / "plain").mkdir(exist_ok=True)
    shutil.copy(field / "red/00.png", field.parent / "plain/1.png")
    for name in ("notes.txt", "labels.csv", "Thumbs.db", "meta.json", "x.xml"):
        (field.parent / "plain" / name).touch()
    assert featx("inspect", "plain", "--strict").code == 0
    assert featx("score", run_folder, "plain", "-o", "p.csv", "--strict", "--overwrite").code == 0


def test_every_file_has_a_row_on_request(featx: Featx, field: Path, run_folder: Path):
    out = field.parent / "all.csv"
    result = featx(
        "score", run_folder, "field", "-o", out, "--all-files", "--overwrite", "--top-k", 2
    )
    assert result.code == 0, result.err
    rows = {row["path"]: row for row in csv_rows(out)}
    assert len(rows) == 28 + 6
    assert rows["fox/IMG_0.HEIC"]["error"] == "HEIC, which needs featx[heif]"
    assert rows["red/scan.pdf"]["error"] == "PDF, which featx does not read"
    assert rows["notes.txt"]["error"] == "not an image: .txt"
    assert rows["notes.txt"]["prediction"] == ""
    assert "34 rows written" in result.err


def test_score_takes_the_flags_of_a_manifest(featx: Featx, workspace: Path, run_folder: Path):
    (workspace / "lists").mkdir(exist_ok=True)
    (workspace / "lists/m.csv").write_text("image_id;other\nred/00.png;1\nblue/00.png;2\n")
    command = ("score", run_folder, "lists/m.csv", "-o", "m.csv", "--overwrite")
    refused = featx(*command)
    assert refused.code == 1
    assert "Name it with --path-column." in refused.err
    result = featx(*command, "--path-column", "image_id", "--root", "photos")
    assert result.code == 0, result.err
    assert "2 rows written" in result.err


@pytest.mark.parametrize("name", ["inspect", "extract", "audit", "fit", "finetune", "score"])
def test_a_manifest_without_a_single_file_fails(
    featx: Featx, workspace: Path, run_folder: Path, name
):
    lines = [f"photos\\{c}\\{i:02}.png,{c}" for c in ("red", "blue") for i in range(5)]
    (workspace / "none.csv").write_text("path,label\n" + "\n".join(lines))
    rest = {
        "audit": ("--output", "none"),
        "fit": ("--name", "none"),
        "finetune": ("--name", "none"),
        "score": ("-o", "none-scores.csv"),
    }
    model = (run_folder,) if name == "score" else ()
    options = () if name in ("inspect", "score") else BACKBONE
    result = featx(name, *model, "none.csv", *options, *rest.get(name, ()))
    assert result.code == 1
    assert "Next:" not in result.err
    assert "None of the 10 files that 'none.csv' names exists" in result.err
    assert "did you mean 'photos/red/00.png' (with forward slashes)?" in result.err


@pytest.mark.parametrize("name", ["inspect", "extract", "score"])
def test_a_folder_of_which_nothing_can_be_read_fails(
    featx: Featx, workspace: Path, run_folder, name
):
    for i in range(3):
        (workspace / "broken").mkdir(exist_ok=True)
        (workspace / f"broken/{i}.png").write_bytes(b"no")
    model = (run_folder,) if name == "score" else ()
    rest = {"extract": BACKBONE, "score": ("-o", "broken.csv", "--overwrite")}
    result = featx(name, *model, "broken", *rest.get(name, ()))
    assert result.code == 1
    assert "Next:" not in result.err
    assert "None of 3 images c" in result.err


def test_a_class_that_cannot_be_read_is_named(featx: Featx, workspace: Path):
    shutil.copytree(workspace / "photos", workspace / "lost", dirs_exist_ok=True)
    (workspace / "lost/fox").mkdir(exist_ok=True)
    for i in range(2):
        (workspace / f"lost/fox/{i}.png").write_bytes(b"no")
    result = featx("extract", "lost", *BACKBONE)
    assert "Warning: class 'fox' has 2 images and none of them can be read" in result.err


def test_every_command_says_which_names_are_alike(featx: Featx, workspace: Path):
    for name in ("Red", "red ", "blue"):
        source = "blue" if name == "blue" else "red"
        shutil.copytree(
            workspace / "photos" / source, workspace / "alike" / name, dirs_exist_ok=True
        )
    sentence = "Classes that differ only in case or spaces: 'Red' (6 images), 'red ' (6 images)."
    audit = ("audit", "alike", *BACKBONE, "--output", "alike-audit", "--overwrite")
    for command in (("extract", "alike", *BACKBONE), audit):
        assert f"Warning: {sentence}\n" in featx(*command).err
    assert f"→ {sentence}\n" in featx("inspect", "alike").out


def test_a_configuration_names_the_columns_of_new_images(monkeypatch: pytest.MonkeyPatch):
    from featx.api import run as running
    from featx.config import RunConfig

    scored: list[DatasetConfig] = []
    monkeypatch.setattr(running, "fit_dataset", lambda config: SimpleNamespace(model=None))
    monkeypatch.setattr(running, "score", lambda model, data, **options: scored.append(data))
    target = {"images": "m.csv", "root": "photos", "path_column": "image_id"}
    running.run(RunConfig.model_validate({"data": {"dataset": "photos"}, "score": target}))
    assert scored == [DatasetConfig(dataset="m.csv", root="photos", path_column="image_id")]
