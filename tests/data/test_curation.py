"""Lists of images to leave out and to keep together, applied where data sets are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.config import DatasetConfig
from featx.data.curation import curate
from featx.data.manifest import Manifest, Row
from featx.data.reader import read_manifest
from featx.errors import DatasetError, UsageError
from featx.formats import write_rows


def dataset(root: Path, *ids: str) -> str:
    for id in ids:
        path = root / "d" / id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return str(root / "d")


def test_listed_images_are_left_out_and_counted(tmp_path: Path) -> None:
    source = dataset(tmp_path, "a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg")
    (tmp_path / "x.csv").write_text("path,reason\na/1.jpg,twice\n")
    (tmp_path / "y.txt").write_text("b/3.jpg\n\na/1.jpg\n")
    lists = [str(tmp_path / "x.csv"), str(tmp_path / "y.txt")]
    found = read_manifest(DatasetConfig(dataset=source, exclude=lists))
    assert found.ids == ["a/2.jpg", "b/4.jpg"]
    assert found.ignored == {"excluded": 2}


def test_an_unknown_image_is_named_with_the_nearest(tmp_path: Path) -> None:
    source = dataset(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "x.csv").write_text("path\na/1.jpg\nc/1.jpg\n")
    with pytest.raises(DatasetError, match=r"names 1 of 2 images .* the first 'c/1.jpg'") as caught:
        read_manifest(DatasetConfig(dataset=source, exclude=[str(tmp_path / "x.csv")]))
    assert "Did you mean 'a/1.jpg'" in str(caught.value)
    (tmp_path / "all.txt").write_text("a/1.jpg\nb/2.jpg\n")
    with pytest.raises(UsageError, match="together leave out all 2 images"):
        read_manifest(DatasetConfig(dataset=source, exclude=[str(tmp_path / "all.txt")]))
    with pytest.raises(DatasetError, match=r"Cannot read list '.*nothing.txt'"):
        read_manifest(DatasetConfig(dataset=source, exclude=[str(tmp_path / "nothing.txt")]))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.txt", "a/1.jpg", "is not a table with columns path and group"),
        ("g.csv", "path,reason\na/1.jpg,x\n", "no column group; it has path, reason"),
        ("g.csv", "path,group\na/1.jpg,\n", "line 2: path or group is empty"),
        ("g.csv", "path,group\nnone.jpg,1\n", "names 1 of 1 images"),
    ],
)
def test_group_files_that_say_nothing(tmp_path: Path, name: str, text: str, message: str) -> None:
    source = dataset(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_manifest(DatasetConfig(dataset=source, group=str(tmp_path / name)))


def test_groups_of_a_file_join_those_of_the_manifest(tmp_path: Path) -> None:
    dataset(tmp_path, *(f"{i}.jpg" for i in range(6)))
    groups = ["p", "p", "q", "q", "r", "g1"]
    rows = "".join(f"{i}.jpg,{'ab'[i % 2]},{g}\n" for i, g in enumerate(groups))
    (tmp_path / "d" / "m.csv").write_text("path,label,group\n" + rows)
    (tmp_path / "g.csv").write_text("path,group\n1.jpg,g1\n2.jpg,g1\n")
    config = DatasetConfig(dataset=str(tmp_path / "d" / "m.csv"), group=str(tmp_path / "g.csv"))
    # p and q share a duplicate; the manifest's own g1 is another one than the file's.
    assert read_manifest(config).groups == ["p", "p", "p", "p", "r", "g1"]
    assert read_manifest(config, labelled=False).groups == [None] * 6


def test_without_groups_the_others_stand_alone(tmp_path: Path) -> None:
    source = dataset(tmp_path, "a/1.jpg", "a/2.jpg", "b/3.jpg")
    (tmp_path / "g.csv").write_text("path,group\na/1.jpg,b/3.jpg\na/2.jpg,b/3.jpg\n")
    found = read_manifest(DatasetConfig(dataset=source, group=str(tmp_path / "g.csv")))
    assert found.groups == ["b/3.jpg", "b/3.jpg", "b/3.jpg (2)"]  # names never join by accident


@given(st.lists(st.text("=+-@'ab/\t ", min_size=1, max_size=4), min_size=2, unique=True))
def test_tables_of_featx_name_the_same_images_again(tmp_path_factory, names: list[str]) -> None:
    manifest = Manifest("/r", "/r", tuple(Row(n, f"/r/{n}") for n in names))
    path = tmp_path_factory.mktemp("t") / "x.csv"
    write_rows(path, ["path"], [[names[0]]])
    kept = curate(manifest, DatasetConfig(dataset="/r", exclude=[str(path)]), labelled=True)
    assert kept.ids == names[1:]
