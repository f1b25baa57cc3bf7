"""Folders: which files become rows, in which order, with which label and split."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.config import DatasetConfig
from featx.data.layout import read_layout, split_of
from featx.data.reader import read_manifest
from featx.errors import DatasetError, UsageError


def make(root: Path, *names: str) -> str:
    """Empty files; listing opens none of them."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return str(root)


def facts(dataset: str, **options: bool) -> dict[str, tuple[str | None, str | None]]:
    return {r.id: (r.label, r.split) for r in read_manifest(dataset, **options).rows}


def test_class_folders(tmp_path):
    dataset = make(tmp_path, "dog/b.jpg", "cat/deep/er/a.PNG", "cat/c.webp")
    assert facts(dataset) == {
        "cat/c.webp": ("cat", None),
        "cat/deep/er/a.PNG": ("cat", None),
        "dog/b.jpg": ("dog", None),
    }
    manifest = read_manifest(dataset)
    assert manifest.classes == ["cat", "dog"]
    assert manifest.labelled
    assert not manifest.grouped
    assert manifest.paths == [str(tmp_path / id) for id in manifest.ids]
    assert manifest.source == dataset


def test_rows_are_sorted_by_the_bytes_of_their_ids(tmp_path):
    names = ["b/1.jpg", "B/1.jpg", "a/10.jpg", "a/9.jpg", "é/1.jpg", "z/1.jpg", "a-b/1.jpg"]
    ids = read_manifest(make(tmp_path, *names)).ids
    assert ids == sorted(names, key=lambda name: name.encode())


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "train"), ("val", "val"), ("valid", "val"), ("validation", "val"),
        ("test", "test"), ("Train", "train"), ("TEST", "test"), ("Training", "train"),
    ],
)  # fmt: skip
def test_split_folders(tmp_path, folder, split):
    dataset = make(tmp_path, f"{folder}/cat/deep/1.jpg", f"{folder}/dog/2.jpg")
    assert set(facts(dataset).values()) == {("cat", split), ("dog", split)}


def test_unlabelled_split_beside_a_labelled_one(tmp_path):
    dataset = make(tmp_path, "train/cat/1.jpg", "test/2.jpg")
    assert facts(dataset) == {"train/cat/1.jpg": ("cat", "train"), "test/2.jpg": (None, "test")}
    with pytest.raises(DatasetError, match=r"1 of 2 images .* no label, for instance 'test/2.jpg'"):
        read_manifest(dataset, labelled=True)


def test_unlabelled_flat_and_nested(tmp_path):
    assert facts(make(tmp_path / "flat", "1.jpg", "2.jpg")) == {
        "1.jpg": (None, None),
        "2.jpg": (None, None),
    }
    nested = make(tmp_path / "nested", "2024/05/1.jpg", "train/2.jpg", "3.jpg")
    assert set(facts(nested, labelled=False).values()) == {(None, None)}


def test_images_beside_class_folders_have_no_label(tmp_path):
    dataset = make(tmp_path, "cat/1.jpg", "preview.jpg")
    assert facts(dataset)["preview.jpg"] == (None, None)
    assert not read_manifest(dataset).labelled
    with pytest.raises(DatasetError, match=r"'preview.jpg'\.\nPut each image into a folder"):
        read_manifest(dataset, labelled=True)


def test_one_class_is_read(tmp_path):
    assert read_manifest(make(tmp_path, "cat/1.jpg")).classes == ["cat"]


def test_splits_beside_classes_are_refused(tmp_path):
    dataset = make(tmp_path, "train/cat/1.jpg", "test/cat/2.jpg", "cat/3.jpg", "dog/4.jpg")
    message = r"named like splits \(test, train\) are next to others \(cat, dog\)"
    with pytest.raises(DatasetError, match=message):
        read_manifest(dataset)
    assert len(read_manifest(dataset, labelled=False)) == 4


def test_a_class_named_like_a_split(tmp_path):
    dataset = make(tmp_path, "valid/1.jpg", "invalid/2.jpg")
    assert facts(dataset) == {"invalid/2.jpg": ("invalid", None), "valid/1.jpg": ("valid", None)}
    inside = make(tmp_path / "inside", "train/train/1.jpg", "train/bus/2.jpg")
    assert set(facts(inside).values()) == {("train", "train"), ("bus", "train")}


NAME = st.sampled_from(["train", "val", "test", "Training_Set", "cat", "dog", "x"])


@settings(deadline=None)
@given(st.lists(st.lists(NAME, max_size=4), min_size=1, max_size=6))
def test_every_layout_has_one_reading_or_is_refused(folders):
    try:
        layout = read_layout(tuple(parts) for parts in folders)
        meanings = [layout.meaning(tuple(parts)) for parts in folders]
    except DatasetError:
        assert any(split_of(part) for parts in folders for part in parts)
        return
    splits = [split for _, split in meanings]
    for parts, (label, split) in zip(folders, meanings, strict=True):
        assert label is None or label in parts
        assert split is None or split in map(split_of, parts)
        if any(splits) and label is not None:
            assert split is not None, "either all labelled images have splits or none has"
        if label is not None and split is None:  # train and test images are never one heap
            inside = {p[1] for p in folders if len(p) > 1 and p[0] == label}
            assert len({split_of(name) for name in inside & {"train", "val", "test"}}) < 2


def test_hidden_and_other_files_are_ignored_and_counted(tmp_path):
    dataset = make(
        tmp_path, "cat/1.jpg", "cat/.2.jpg", ".git/3.jpg", ".git/4.jpg", "cat/._1.jpg", "notes.txt",
        "cat/Thumbs.db", "cat/noextension", "cat/labels.csv", "__MACOSX/cat/._1.jpg",
    )  # fmt: skip
    (tmp_path / "bird").mkdir()
    manifest = read_manifest(dataset)
    assert manifest.ids == ["cat/1.jpg"]
    assert manifest.ignored == {
        "hidden": 3, ".txt": 1, ".db": 1, ".csv": 1, "file without an ending": 1,
        "empty folder": 1, "system folder (__MACOSX)": 1,
    }  # fmt: skip


def test_nothing_to_read(tmp_path):
    with pytest.raises(DatasetError, match=r"No images in '.*x' \(1 hidden\)\.\nFiles of a folder"):
        read_manifest(make(tmp_path / "empty", "x/.keep", "y.txt").replace("empty", "empty/x"))
    with pytest.raises(DatasetError, match=r"\(1 .txt, 1 hidden\)"):
        read_manifest(str(tmp_path / "empty"))
    with pytest.raises(UsageError, match=r"There is no data set at '.*absent'"):
        read_manifest(str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="There is no data set"):
        read_manifest("a\0b")
    with pytest.raises(DatasetError, match="neither a folder, nor a manifest"):
        read_manifest(str(tmp_path / "empty" / "y.txt"))


def test_one_image_is_a_data_set(tmp_path):
    make(tmp_path, "train/a.jpg")
    manifest = read_manifest(str(tmp_path / "train" / "a.jpg"))
    assert facts(manifest.paths[0]) == {"a.jpg": (None, None)}


def test_a_manifests_options_are_refused_for_a_folder(tmp_path):
    make(tmp_path, "cat/1.jpg")
    config = DatasetConfig(dataset=str(tmp_path), label_column="species")
    with pytest.raises(UsageError, match="--label-column applies to a manifest file"):
        read_manifest(config)


def test_links_back_up_end(tmp_path):
    dataset = make(tmp_path, "cat/1.jpg")
    (tmp_path / "cat" / "loop").symlink_to(tmp_path)
    (tmp_path / "cat" / "self").symlink_to(".")
    (tmp_path / "cat" / "never").symlink_to("never")  # a link to itself: not a folder
    manifest = read_manifest(dataset)
    assert manifest.ids == ["cat/1.jpg"]
    assert manifest.ignored == {"link to a folder already read": 2, "file without an ending": 1}


def test_a_linked_folder_is_read_once_under_its_own_name(tmp_path):
    dataset = make(tmp_path, "zebra/deep/1.jpg")
    (tmp_path / "alias").symlink_to("zebra")
    assert read_manifest(dataset).ids == ["zebra/deep/1.jpg"]


def test_folders_linked_from_elsewhere_are_read(tmp_path):
    make(tmp_path / "elsewhere", "1.jpg")
    root = tmp_path / "set"
    make(root, "dog/2.jpg")
    (root / "cat").symlink_to(tmp_path / "elsewhere")
    assert facts(str(root)) == {"cat/1.jpg": ("cat", None), "dog/2.jpg": ("dog", None)}


def test_many_links_between_folders_stay_few_rows(tmp_path):
    names = "abcdefghij"
    dataset = make(tmp_path, *(f"{name}/1.jpg" for name in names))
    for name in names:
        for other in names:
            (tmp_path / name / other).symlink_to(tmp_path / other)
    manifest = read_manifest(dataset)
    assert len(manifest) == 10
    assert manifest.ignored == {"link to a folder already read": 100}


def test_a_link_to_nothing_stays_a_row(tmp_path):
    dataset = make(tmp_path, "cat/1.jpg")
    (tmp_path / "cat" / "2.jpg").symlink_to("gone.jpg")
    assert read_manifest(dataset).ids == ["cat/1.jpg", "cat/2.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_image(tmp_path):
    dataset = make(tmp_path, "cat/1.jpg")
    os.mkfifo(tmp_path / "cat" / "2.jpg")
    manifest = read_manifest(dataset)
    assert manifest.ids == ["cat/1.jpg"]
    assert manifest.ignored == {"not a regular file": 1}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_a_folder_that_may_not_be_listed_is_an_error(tmp_path):
    dataset = make(tmp_path, "cat/1.jpg")
    (tmp_path / "cat").chmod(0)
    try:
        with pytest.raises(DatasetError, match=r"Cannot list folder '.*cat': Permission denied"):
            read_manifest(dataset)
    finally:
        (tmp_path / "cat").chmod(0o700)


def test_names_that_are_not_utf8(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    (tmp_path / os.fsdecode(b"caf\xe9/\xff.jpg")).write_bytes(b"x")
    (row,) = read_manifest(str(tmp_path)).rows
    assert os.fsencode(row.id) == b"caf\xe9/\xff.jpg"
    assert os.fsencode(row.label) == b"caf\xe9"
    assert Path(row.path).read_bytes() == b"x"


def test_odd_names(tmp_path):
    names = ["a b/ .jpg", "new\nline/1.jpg", "quote\"'/1.jpg", "back\\slash/1.jpg", "-rf/1.jpg"]
    assert sorted(read_manifest(make(tmp_path, *names)).ids) == sorted(names)


def test_head(tmp_path):
    manifest = read_manifest(make(tmp_path, "b/1.jpg", "a/1.jpg"))
    assert manifest.head(1).ids == ["a/1.jpg"]
    assert len(manifest.head(9)) == 2


def test_a_relative_folder_gives_absolute_paths(tmp_path, monkeypatch):
    make(tmp_path / "set", "cat/1.jpg")
    monkeypatch.chdir(tmp_path)
    manifest = read_manifest("set")
    assert manifest.paths == [str(tmp_path / "set/cat/1.jpg")]
    assert (manifest.source, manifest.root) == ("set", str(tmp_path / "set"))
