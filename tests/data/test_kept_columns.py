"""Columns that are asked for: of the manifest, groups and splits, and EXIF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featx.config import DatasetConfig
from featx.data.arrays import make_arrays
from featx.data.kept_columns import Keep
from featx.data.reader import read_manifest
from featx.errors import DatasetError, UnknownNameError, UsageError


def manifest(folder: Path, rows: str) -> DatasetConfig:
    (folder / "m.csv").write_text(rows)
    return DatasetConfig(dataset=str(folder / "m.csv"))


def test_a_manifest_gives_its_columns(tmp_path: Path) -> None:
    """Only those that are asked for, in the order asked; empty cells are None."""
    rows = "path,label,site,month,group\na.png,x,north,5,g1\nb.png,y,,6,g2\n"
    config = manifest(tmp_path, rows)
    assert read_manifest(config).rows[0].extra == ()
    found = read_manifest(config, keep=["group", "site", "month"])
    assert found.rows[0].extra == (("group", "g1"), ("site", "north"), ("month", "5"))
    assert found.column("site") == ["north", None]


@pytest.mark.parametrize(
    ("name", "words"),
    [("stie", "site"), ("split", "no splits"), ("exif:Modle", "Model"), ("empty", "no image")],
)
def test_what_is_not_there_is_refused(tmp_path: Path, name: str, words: str) -> None:
    """The message names what there is."""
    config = manifest(tmp_path, "path,label,site,empty\na.png,x,north,\nb.png,y,south,\n")
    with pytest.raises((UnknownNameError, UsageError)) as caught:
        read_manifest(config, keep=[name])
    assert words in f"{caught.value} {caught.value.hint}"


def test_a_folder_has_no_columns(tmp_path: Path) -> None:
    """What is allowed for a folder is named."""
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "a.png")
    with pytest.raises(UsageError) as caught:
        read_manifest(DatasetConfig(dataset=str(tmp_path)), keep=["site"])
    assert "exif:Model" in str(caught.value.hint)


def test_repeated_rows_must_agree(tmp_path: Path) -> None:
    """One image has one site."""
    config = manifest(tmp_path, "path,label,site\na.png,x,north\na.png,x,south\n")
    assert len(read_manifest(config)) == 1
    with pytest.raises(DatasetError, match="site 'north' and 'south'"):
        read_manifest(config, keep=["site"])


def test_exif_gives_the_camera(tmp_path: Path) -> None:
    """Images without the field, and files that are no images, have no value."""
    for name, model in (("a", "Nikon"), ("b", None)):
        (tmp_path / name).mkdir()
        exif = Image.Exif()
        if model:
            exif[0x0110] = model
        Image.new("RGB", (8, 8)).save(tmp_path / name / "i.jpg", exif=exif)
    (tmp_path / "b" / "j.jpg").write_bytes(b"no image")
    found = read_manifest(DatasetConfig(dataset=str(tmp_path)), keep=["exif:Model"])
    assert found.column("exif:Model") == ["Nikon", None, None]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("depth (m)", ["5", "7"]),  # columns come first, whatever they are called
        ("exif:Model", ["Nikon", None]),
        ("folder:0", ["mine", None]),
        ("folder:-1", ["north", "south"]),
        ("name:0", ["a", "b"]),
        (r"([a-z])\.png", ["a", "b"]),
    ],
)
def test_one_reading_of_by(tmp_path: Path, name: str, values: list[str | None]) -> None:
    """A column that is called so, else EXIF, else a part of the path."""
    config = manifest(
        tmp_path,
        "path,depth (m),exif:Model,folder:0\nnorth/a.png,5,Nikon,mine\nsouth/b.png,7,,\n",
    )
    assert read_manifest(config, keep=[name]).column(name) == values


def test_what_a_model_takes_is_no_rule(tmp_path: Path) -> None:
    """A column that is needed is not made of the path."""
    config = manifest(tmp_path, "path,label\nnorth/a.png,x\n")
    for keep in (Keep(needed={"folder:0": "folder:0"}), Keep({"name:0": "--tabular name:0"})):
        with pytest.raises(UsageError):
            read_manifest(config, keep=keep)


@pytest.mark.parametrize("name", ["exif:Model", "name:0"])
def test_rows_of_numbers_have_neither_exif_nor_a_path(name: str) -> None:
    with pytest.raises(UnknownNameError, match="Unknown column"):
        make_arrays(np.zeros((3, 2)), keep=[name])
