"""Labels from and to other files, and `featx next`, on real files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import featx
from featx.config import DatasetConfig
from featx.data.reader import read_manifest
from featx.errors import DatasetError, UsageError
from featx.labelling import LabellingSession, LabelLog
from tests.lab import csv_rows, in_process

MINI = "featx:mini-v1"


def opened(photos: Path, log: Path | LabelLog | None = None) -> LabellingSession:
    place = photos.parent
    return LabellingSession.open(
        photos, cache=place / "cache", backbone=MINI, log=log or place / "labels.jsonl", batch=6
    )


def colour(name: str) -> str:
    return name.rpartition("/")[2].partition("-")[0]


@pytest.fixture
def labelled(photos: Path) -> LabellingSession:
    """Twelve images labelled by colour, one unsure, one excluded."""
    one = opened(photos)
    for _ in range(2):
        for each in one.next_batch():
            one.label([each.id], colour(each.id))
    rest = [id for id in one.ids if id not in one.log.labels()]
    one.unsure(rest[:1])
    one.exclude(rest[1:2])
    return one


def test_an_export_is_a_manifest_that_fit_takes(
    labelled: LabellingSession, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "elsewhere" / "labels.csv"
    place.parent.mkdir()
    assert labelled.export(place) == 12
    rows = csv_rows(place)
    assert {row["chosen"] for row in rows} <= {"random", "doubt", "spread", "rare"}
    assert "random" in {row["chosen"] for row in rows}
    assert len(read_manifest(DatasetConfig(dataset=str(place), root=str(photos)))) == 12
    labelled.export(tmp_path / "above.csv")  # the images lie below it: no --root
    extraction = featx.extract(tmp_path / "above.csv", cache=tmp_path / "cache", backbone=[MINI])
    assert len(extraction.X) == 12
    with pytest.raises(UsageError, match="exists already"):
        labelled.export(place)
    assert labelled.export(place, overwrite=True) == 12


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.json", "out.xml"])
def test_what_is_exported_is_imported_the_same(
    labelled: LabellingSession, photos: Path, tmp_path: Path, name: str
) -> None:
    labelled.export(tmp_path / name)
    other = opened(photos, LabelLog())
    read = other.import_labels(tmp_path / name)
    assert other.log.labels() == labelled.log.labels()
    assert read.unknown == []
    assert {event.chosen for event in other.log.events()} == {"imported"}
    other.undo()
    assert other.log.labels() == {}


def test_a_file_of_labels_is_imported_with_what_is_unsure_and_excluded(
    labelled: LabellingSession, photos: Path
) -> None:
    other = opened(photos, LabelLog())
    assert labelled.log.path is not None
    other.import_labels(labelled.log.path)
    actions = {id: event.action for id, event in labelled.log.decisions().items()}
    assert {id: event.action for id, event in other.log.decisions().items()} == actions


def test_class_folders_and_corrections_are_imported(photos: Path, tmp_path: Path) -> None:
    for path in sorted(photos.iterdir())[:10]:
        there = tmp_path / "sorted" / colour(path.name) / path.name
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there)
    one = opened(photos, LabelLog())
    one.import_labels(tmp_path / "sorted")
    names = [path.name for path in sorted(photos.iterdir())[:10]]
    assert one.log.labels() == {name: colour(name) for name in names}
    table = tmp_path / "corrections.csv"
    table.write_text(
        "id,sha256,label,decision,value\n"
        "blue-0.png,,blue,relabel,'=navy\nblue-1.png,,blue,right,\nblue-2.png,,blue,exclude,\n"
        "gone.png,,blue,relabel,red\n"
    )
    read = one.import_labels(table)
    assert read.labels == {"blue-0.png": "=navy", "blue-1.png": "blue"}
    assert read.excluded == {"blue-2.png"}
    assert read.unknown == ["gone.png"]
    assert one.log.labels()["blue-0.png"] == "=navy"
    assert "blue-2.png" not in one.log.labels()


def test_label_studios_own_names_are_understood(photos: Path, tmp_path: Path) -> None:
    def task(image: str, *choices: str, cancelled: bool = False) -> dict[str, object]:
        results = [{"type": "choices", "value": {"choices": [c]}} for c in choices]
        return {"data": {"image": image},
                "annotations": [{"was_cancelled": cancelled, "result": results}]}  # fmt: skip

    tasks = [
        task("/data/upload/1/0a1b2c3d-red-0.png", "red"),
        task("/data/local-files/?d=some/where/red-1.png", "red"),
        task("red-2.png", "red", cancelled=True),
        {"data": {"image": "red-3.png"}, "annotations": []},
        task("unknown.png", "red"),
    ]
    (tmp_path / "project.json").write_text(json.dumps(tasks))
    read = opened(photos, LabelLog()).import_labels(tmp_path / "project.json")
    assert read.labels == {"red-0.png": "red", "red-1.png": "red"}
    assert read.unknown == ["unknown.png"]


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.json", "{}", "neither a JSON export"),
        ("a.json", "[{}]", "neither a JSON export"),
        ("a.xml", "<annotations><image/></annotations>", "neither a JSON export"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "declares entities"),
        ("a.csv", "path\nred-0.png\n", "has no labels"),
    ],
)
def test_files_of_other_kinds_are_refused(
    photos: Path, tmp_path: Path, name: str, text: str, match: str
) -> None:
    shutil.copy(photos / "red-0.png", tmp_path)
    (tmp_path / name).write_text(text)
    one = opened(photos, LabelLog())
    with pytest.raises(DatasetError, match=match):
        one.import_labels(tmp_path / name)
    with pytest.raises(UsageError, match="no file of labels"):
        one.import_labels(tmp_path / "nowhere.csv")
    assert not one.log.events()


def test_next_lists_by_labels_and_leaves_the_file_as_it_is(
    labelled: LabellingSession, photos: Path, tmp_path: Path
) -> None:
    log = labelled.log.path
    assert log is not None
    before = log.read_bytes()
    found = featx.next_images(
        log, photos, n=6, random_share=0.5, output=tmp_path / "next.csv",
        cache=tmp_path / "cache", backbone=[MINI],
    )  # fmt: skip
    assert log.read_bytes() == before
    assert len(found) == 6
    assert not {each.id for each in found} & set(labelled.log.decisions())
    assert [each.reason for each in found].count("random") == 3
    rows = csv_rows(tmp_path / "next.csv")
    assert [row["path"] for row in rows] == [each.id for each in found]


def test_next_on_the_command_line_says_why_and_refuses_what_it_cannot_use(
    labelled: LabellingSession,
    photos: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    common = ["--cache", str(tmp_path / "cache"), "--backbone", MINI]
    labelled.export(tmp_path / "some.csv")
    featx_command = in_process(capfd)
    done = featx_command("next", tmp_path / "some.csv", photos, "-n", "4", *common)
    assert done.code == 0, done.err
    assert "4 images to label" in done.out
    assert "1 random" in done.out
    (tmp_path / "other.jsonl").write_text('{"id": "x.png", "action": "label", "label": "a"}\n')
    done = featx_command("next", tmp_path / "other.jsonl", photos, *common)
    assert done.code == 2
    assert "labels none of the images" in done.err


def test_next_by_a_model_leaves_out_what_the_model_was_fitted_on(
    photos: Path, tmp_path: Path
) -> None:
    table = tmp_path / "train.csv"
    names = [path.name for path in sorted(photos.iterdir()) if int(path.stem[-1]) < 5]
    table.write_text("path,label\n" + "".join(f"photos/{n},{colour(n)}\n" for n in names))
    run = featx.fit(
        table, backbone=[MINI], cache=tmp_path / "cache", runs=tmp_path / "runs", name="one",
        head=["ridge"], sampler=["none"], cv=3, jobs=1,
    )  # fmt: skip
    found = featx.next_images(run, photos, n=100, cache=tmp_path / "cache")
    assert sorted(each.id for each in found) == sorted(
        path.name for path in photos.iterdir() if path.name not in names
    )
    assert {each.y_pred for each in found} == {"red", "green", "blue"}
