"""Folders as people have them: splits by any name, wrapped, nested twice, or below the classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.data.layout import read_layout, split_of
from featx.data.reader import read_manifest
from featx.data.remarks import remarks
from featx.errors import DatasetError


def read(*ids: str) -> tuple[set[tuple[str | None, str | None]], list[str]]:
    """The labels and splits of these images, and the remarks on their layout."""
    folders = [tuple(id.split("/")[:-1]) for id in ids]
    layout = read_layout(folders)
    return {layout.meaning(each) for each in folders}, layout.remarks


def make(root: Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return str(root)


def said(dataset: str) -> list[str]:
    return list(remarks(read_manifest(dataset)))


BOTH = {("cat", "train"), ("dog", "train"), ("cat", "test"), ("dog", "test")}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train_set", "test_set"), ("training_set", "test_set"), ("trainset", "testset"),
        ("train-images", "test-images"), ("TRAIN", "holdout"), ("Train Data", "Test Data"),
        ("train2017", "test2017"), ("01_train", "02_test"), ("images_train", "images_test"),
        ("train_images", "test"),
    ],
)  # fmt: skip
def test_splits_by_what_their_names_are_made_of(train, test):
    found, remarks = read(*(f"{s}/{c}/{i}.jpg" for s in (train, test) for c in ("cat", "dog")
                            for i in range(2)))  # fmt: skip
    assert found == BOTH
    odd = [name for name in (train, test) if name.lower() not in ("train", "test", "holdout")]
    assert len(remarks) == (1 if odd else 0)
    assert all(name in remarks[0] for name in odd)


@pytest.mark.parametrize(("name", "split"), [("val_images", "val"), ("dev", "val"),
                                             ("validation-set", "val"), ("eval", None),
                                             ("tests_of_time", None), ("contest", None),
                                             ("trainer", None), ("valve", None)])  # fmt: skip
def test_a_split_is_told_from_a_word(name, split):
    assert split_of(name) == split


def test_splits_without_one_to_train_on():
    ids = [f"{s}/{c}/1.jpg" for s in ("val", "test_set") for c in ("cat", "dog")]
    assert read(*ids)[0] == {(c, s) for s in ("val", "test") for c in ("cat", "dog")}


def test_nested_twice_and_wrapped():
    twice = [f"{s}/{s}/{c}/1.jpg" for s in ("training_set", "test_set") for c in ("cat", "dog")]
    assert read(*twice)[0] == BOTH
    strict = [f"{s}/{s}/{c}/1.jpg" for s in ("train", "test") for c in ("cat", "dog")]
    assert read(*strict) == (BOTH, [])
    wrapped = [f"dataset/v2/{s}/{c}/1.jpg" for s in ("train", "test") for c in ("cat", "dog")]
    found, remarks = read(*wrapped)
    assert found == BOTH
    assert remarks == ["The folder 'dataset/v2' around the splits is read as no class."]


def test_splits_below_each_class():
    found, remarks = read(*(f"{c}/{s}/1.jpg" for s in ("train", "test") for c in ("cat", "dog")))
    assert found == BOTH
    assert remarks == ["The folders test, train in each class are read as its splits."]


@pytest.mark.parametrize(
    "ids",
    [
        ["cat/train/1.jpg", "cat/test/2.jpg", "dog/1.jpg"],
        ["cat/1.jpg", "cat/test/2.jpg", "dog/1.jpg", "dog/test/2.jpg"],
        ["cat/images/train/1.jpg", "cat/images/test/2.jpg", "dog/images/1.jpg"],
        ["train/cat/train/1.jpg", "train/cat/val/1.jpg", "train/dog/1.jpg"],
        ["photos/cat/train/1.jpg", "photos/cat/test/1.jpg", "photos/dog/train/1.jpg"],
        ["train/cat/1.jpg", "test/cat/1.jpg", "more/cat/1.jpg"],
        ["training_set/cat/1.jpg", "more/cat/1.jpg"],
        ["train/cat/1.jpg", "eval/cat/1.jpg"],
        ["train_images/1.jpg", "test_images/2.jpg", "unlabeled/3.jpg"],
        ["train/1.jpg", "test/2.jpg", "more/3.jpg"],
        ["train/1.jpg", "eval/2.jpg"],
        ["cat/train/1.jpg", "cat/eval/1.jpg", "dog/1.jpg"],
        ["cat/train_images/1.jpg", "cat/test_images/1.jpg", "dog/1.jpg"],
    ],
)
def test_a_split_among_the_classes_is_never_trained_on_in_silence(ids):
    with pytest.raises(DatasetError, match=r"splits? \(|mean validation or test") as caught:
        read(*ids)
    assert "train, val and test" in str(caught.value) or "Rename it" in str(caught.value)


def test_classes_that_are_named_nearly_like_splits_stay_classes():
    assert read("test1/1.jpg", "test2/2.jpg") == ({("test1", None), ("test2", None)}, [])
    found, remarks = read("vehicle/bus/1.jpg", "vehicle/train/2.jpg", "animal/cat/3.jpg")
    assert found == {("vehicle", None), ("animal", None)}
    assert remarks == [
        "The folder train in 'vehicle' is named like a split and read as part of the class."
    ]


def test_two_levels_that_may_both_be_classes_are_said():
    _, remarks = read(*(f"{s}/{c}/1.jpg" for s in ("camera1", "camera2") for c in ("cat", "dog")))
    assert len(remarks) == 1
    assert "camera1, camera2 has the same folders in it (cat, dog)" in remarks[0]
    assert read("cat/young/1.jpg", "cat/old/1.jpg", "dog/old/1.jpg")[1] == []


NAMES = st.sampled_from(["cat", "dog", "fox"])


@given(
    st.lists(NAMES, min_size=2, max_size=3, unique=True),
    st.sampled_from([("train", "test"), ("train", "val", "test"), ("Training", "Validation"), ()]),
    st.lists(st.sampled_from(["a", "b"]), max_size=2),
)
def test_right_layouts_are_read_without_a_word(classes, splits, deeper):
    """However deep the files lie below a class."""
    tail = "/".join([*deeper, "1.jpg"])
    ids = [f"{s}/{c}/{tail}" for s in splits for c in classes] or [f"{c}/{tail}" for c in classes]
    found, remarks = read(*ids)
    assert found == {(c, split_of(s)) for s in splits for c in classes} or not splits
    assert {label for label, _ in found} == set(classes)
    assert remarks == []


@pytest.mark.parametrize("splits", [("train", "test"), ("train",), ("train", "val", "test")])
def test_one_class_in_each_split_raises_no_question(tmp_path, splits):
    """``did you mean .../test?`` was asked where train/ and test/ were right."""
    dataset = make(tmp_path, *(f"{s}/{c}/{i}.jpg" for s in splits for c in "ab" for i in range(3)))
    assert said(dataset) == []
    single = make(tmp_path / "single", *(f"{s}/only/{i}/1.jpg" for s in splits for i in range(3)))
    assert said(single) == [
        "All images of each split lie in one folder, 'only', that has subfolders: if those "
        "are the classes, move them up into the splits."
    ]


def test_a_wrapping_folder_is_said_to_the_bottom(tmp_path):
    dataset = make(tmp_path, *(f"photos/photos/{c}/{i}.jpg" for c in "ab" for i in range(3)))
    assert said(dataset) == [
        f"All images are in one folder that has subfolders: did you mean {tmp_path}/photos/photos?"
    ]


def test_images_beside_the_class_folders_are_said(tmp_path):
    dataset = make(tmp_path, "a/1.jpg", "b/1.jpg", "top.jpg")
    assert said(dataset) == [
        "1 image is not in a class folder and has no label, for instance 'top.jpg'."
    ]


def test_a_class_for_each_image_is_questioned(tmp_path):
    dataset = make(tmp_path / "photos", *(f"{i:03}/1.jpg" for i in range(30)))
    (sentence,) = said(dataset)
    assert sentence == (
        f"30 of 30 classes have one image: did you mean the folder above, {tmp_path}, or one below?"
    )
    (tmp_path / "m.csv").write_text("path,label\n" + "".join(f"{i}.jpg,n{i}\n" for i in range(30)))
    (sentence,) = said(str(tmp_path / "m.csv"))
    assert sentence == "30 of 30 classes have one image: is another column the label?"


@pytest.mark.parametrize(
    "folder",
    ["__MACOSX", "@eaDir", ".thumbnails", "#recycle", "$RECYCLE.BIN", ".ipynb_checkpoints",
     "lost+found", "System Volume Information", ".AppleDouble", ".@__thumb", "page_files"],
)  # fmt: skip
def test_system_folders_are_passed_over_and_counted(tmp_path, folder):
    dataset = make(tmp_path, "cat/1.jpg", "dog/2.jpg", f"{folder}/3.jpg", f"cat/{folder}/4.jpg",
                   "page.html", "cat/page.html", "cat/._1.jpg")  # fmt: skip
    manifest = read_manifest(dataset)
    assert manifest.ids == ["cat/1.jpg", "dog/2.jpg"]
    name = "hidden" if folder[0] == "." else f"system folder ({folder})"
    assert manifest.ignored[name] == (3 if folder[0] == "." else 2)
    assert said(dataset) == []


def test_a_folder_that_only_ends_in_files_is_a_class(tmp_path):
    assert read_manifest(make(tmp_path, "my_files/1.jpg", "b/2.jpg")).classes == ["b", "my_files"]


def test_folders_of_thumbnails_are_said(tmp_path):
    dataset = make(tmp_path, "cat/1.jpg", "cat/Thumbs/1.jpg", "dog/1.jpg")
    (sentence,) = said(dataset)
    assert "'cat/Thumbs' holds 1 image" in sentence
