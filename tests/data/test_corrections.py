"""`--labels corrections.csv`: what a person decided, applied where data sets are read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.config import DatasetConfig
from featx.data.corrections import COLUMNS, correct, corrections_sentences
from featx.data.manifest import Manifest, Row
from featx.data.reader import read_manifest
from featx.errors import DatasetError, UsageError
from featx.formats import write_rows

IDS = ("a/1.jpg", "a/2.jpg", "a/3.jpg", "b/4.jpg", "b/5.jpg")


@pytest.fixture
def source(tmp_path: Path) -> str:
    for id in IDS:
        path = tmp_path / "d" / id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(id.encode())
    return str(tmp_path / "d")


def sha(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()


def read(source: str, *files: Path, labelled: bool | None = None, **more: object) -> Manifest:
    config = DatasetConfig(dataset=source, labels=[str(f) for f in files], **more)
    return read_manifest(config, labelled=labelled)


def written(place: Path, *rows: tuple[str, ...], name: str = "corrections.csv") -> Path:
    write_rows(place / name, COLUMNS, rows, overwrite=True)
    return place / name


def test_every_decision_is_applied_counted_and_listed(source: str, tmp_path: Path) -> None:
    table = written(
        tmp_path,
        ("a/1.jpg", sha("a/1.jpg"), "a", "relabel", "b"),
        ("a/2.jpg", sha("a/2.jpg")[:16], "a", "right", ""),
        ("a/3.jpg", "", "", "exclude", ""),
        ("b/4.jpg", "", "b", "group", "b/5.jpg"),
        ("b/4.jpg", "", "b", "Right", ""),
    )
    found = read(source, table)
    assert [(r.id, r.label) for r in found.rows] == [
        ("a/1.jpg", "b"), ("a/2.jpg", "a"), ("b/4.jpg", "b"), ("b/5.jpg", "b"),
    ]  # fmt: skip
    groups = dict(zip(found.ids, found.groups, strict=True))
    assert groups["b/4.jpg"] == groups["b/5.jpg"]
    assert len({*groups.values()}) == 3
    assert found.ignored == {"excluded": 1}
    done = found.corrections
    assert done is not None
    assert done.decisions == {"relabel": 1, "right": 2, "exclude": 1, "group": 1}
    assert done.changes == (
        {"id": "a/1.jpg", "decision": "relabel", "label": "a", "value": "b"},
        {"id": "a/3.jpg", "decision": "exclude", "label": "a", "value": None},
        {"id": "b/4.jpg", "decision": "group", "label": "b", "value": "b/5.jpg"},
    )
    assert list(corrections_sentences(done)) == [
        "Corrections: 1 label changed, 1 image excluded, 1 image grouped, 2 labels confirmed."
    ]
    assert read_manifest(source).labels == ["a", "a", "a", "b", "b"]  # as it was


def test_groups_join_through_names_and_images(source: str, tmp_path: Path) -> None:
    table = written(
        tmp_path,
        ("a/1.jpg", "", "", "group", "cow 7"),
        ("a/2.jpg", "", "", "group", "a/1.jpg"),
        ("b/4.jpg", "", "", "group", "cow 7"),
        ("b/5.jpg", "", "", "group", "another"),
    )
    groups = dict(zip(IDS, read(source, table).groups, strict=True))
    assert groups["a/1.jpg"] == groups["a/2.jpg"] == groups["b/4.jpg"]
    assert len({*groups.values()}) == 3


def test_what_has_changed_since_is_left_alone_and_told(source: str, tmp_path: Path) -> None:
    table = written(
        tmp_path,
        ("a/1.jpg", sha("other"), "a", "relabel", "b"),
        ("a/2.jpg", "", "b", "relabel", "c"),
        ("a/3.jpg", sha("a/3.jpg"), "b", "relabel", "a"),  # is so already
        ("b/4.jpg", sha("b/4.jpg"), "b", "exclude", ""),
    )
    (Path(source) / "b/4.jpg").write_bytes(b"new")
    found = read(source, table)
    assert found.labels == ["a", "a", "a", "b", "b"]
    done = found.corrections
    assert done is not None
    assert [(each["id"], each["reason"]) for each in done.not_applied] == [
        ("a/1.jpg", "the file has changed since"),
        ("a/2.jpg", "its label was 'b' and is 'a' now"),
        ("b/4.jpg", "the file has changed since"),
    ]
    assert done.changes == ()
    assert list(corrections_sentences(done))[1:] == [
        "3 decisions were not applied, the first about 'a/1.jpg': the file has changed since."
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("c/1.jpg", "", "", "right", "")], "names 1 of 1 images .* the first 'c/1.jpg'"),
        ([("a/1.jpg", "", "", "rite", "")], "line 2: the decision is 'rite'; it can be right"),
        ([("a/1.jpg", "", "", "relabel", "")], "line 2: relabel needs a class in the column"),
        ([("a/1.jpg", "", "", "group", "")], "line 2: group needs an image or a shared group name"),
        ([("a/1.jpg", "12", "", "right", "")], "sha256 is '12', which is not 16 to 64"),
        (
            [("a/1.jpg", "", "", "relabel", "b"), ("a/1.jpg", "", "", "right", "")],
            r"contradict each other: relabel as 'b' \(.*line 2\) and right \(.*line 3\)",
        ),
        (
            [("a/1.jpg", "", "", "relabel", "b"), ("a/1.jpg", "", "", "relabel", "c")],
            "contradict each other",
        ),
        (
            [("a/1.jpg", "", "", "exclude", ""), ("a/1.jpg", "", "", "relabel", "b")],
            "contradict each other",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    source: str, tmp_path: Path, rows: list[tuple[str, ...]], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read(source, written(tmp_path, *rows))


def test_files_that_are_no_corrections(source: str, tmp_path: Path) -> None:
    for text, missing in (("path,reason\na/1.jpg,x\n", "decision"), ("x,decision\n1,2\n", "id")):
        (tmp_path / "c.csv").write_text(text)
        with pytest.raises(DatasetError, match=f"it has no column {missing}") as caught:
            read(source, tmp_path / "c.csv")
        assert "Its columns are id, sha256, label, decision, value" in str(caught.value.hint)
    with pytest.raises(DatasetError, match="Cannot read"):
        read(source, tmp_path / "nothing.csv")
    every = written(tmp_path, *((id, "", "", "exclude", "") for id in IDS))
    with pytest.raises(UsageError, match="together leave out all 5 images"):
        read(source, every)


def test_several_files_and_exclusion_of_the_same_image(source: str, tmp_path: Path) -> None:
    one = written(tmp_path, ("a/1.jpg", "", "a", "relabel", "b"), name="one.csv")
    two = written(tmp_path, ("a/1.jpg", "", "a", "relabel", "b"), name="two.csv")
    (tmp_path / "x.txt").write_text("a/1.jpg\n")
    found = read(source, one, two, exclude=[str(tmp_path / "x.txt")])
    assert "a/1.jpg" not in found.ids
    other = written(tmp_path, ("a/1.jpg", "", "a", "right", ""), name="three.csv")
    with pytest.raises(DatasetError, match=r"one\.csv.*three\.csv"):
        read(source, one, other)


def test_without_labels_exclusions_alone_count(source: str, tmp_path: Path) -> None:
    rows = [("a/1.jpg", "", "", "relabel", "b"), ("a/2.jpg", "", "", "exclude", ""),
            ("b/4.jpg", "", "", "group", "x")]  # fmt: skip
    found = read(source, written(tmp_path, *rows), labelled=False)
    assert found.ids == ["a/1.jpg", "a/3.jpg", "b/4.jpg", "b/5.jpg"]
    assert {*found.labels, *found.groups} == {None}


def test_a_new_class_is_told_of(source: str, tmp_path: Path) -> None:
    found = read(source, written(tmp_path, ("a/1.jpg", "", "a", "relabel", "=c")))
    assert found.labels[0] == "=c"
    assert found.corrections is not None
    sentences = list(corrections_sentences(found.corrections))
    assert sentences[1].startswith("Corrections name 1 class that the data set does not have: '=c'")


names = st.text("=+-@'ab/\t", min_size=1, max_size=4)


@given(st.lists(names, min_size=2, unique=True), st.lists(names, min_size=2, unique=True))
def test_any_names_come_through_a_table(tmp_path_factory, ids: list[str], labels: list[str]):
    rows = tuple(Row(n, f"/r/{n}", labels[i % len(labels)]) for i, n in enumerate(ids))
    path = tmp_path_factory.mktemp("t") / "c.csv"
    write_rows(path, COLUMNS, [[ids[0], None, labels[0], "relabel", labels[1]],
                               [ids[1], None, labels[1], "exclude", None]])  # fmt: skip
    decided = correct(Manifest("/r", "/r", rows), set(ids), [str(path)], labelled=True)
    assert decided.manifest.rows[0].label == labels[1]
    assert decided.excluded == {ids[1]}
