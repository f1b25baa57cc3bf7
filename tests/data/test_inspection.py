"""Inspection: what it counts, and the command that prints it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from featx.config import DatasetConfig
from featx.data.findings import Broken, Extent, Inspection
from featx.data.inspection import inspect_manifest
from featx.data.reader import read_manifest
from featx.errors import QuarantinedError


def picture(path: Path, value: int, size: tuple[int, int] = (8, 6), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, size, value)
    image.putpixel((0, 0), 255)  # not of one colour, which would be said
    image.save(path)


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Three classes in three splits, with every kind of trouble."""
    root = tmp_path / "set"
    for i in range(4):
        picture(root / f"train/cat/{i}.png", i)
    picture(root / "train/dog/0.png", 100, size=(20, 10), mode="RGB")
    picture(root / "val/dog/1.png", 101)
    picture(root / "test/cat/0.bmp", 9)
    picture(root / "train/cat/twin.png", 0)  # of train/cat/0.png
    picture(root / "test/cat/leak.png", 1)  # of train/cat/1.png
    picture(root / "val/dog/wrong.png", 2)  # of train/cat/2.png, under another label
    (root / "train/cat/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a JPEG")
    (root / "train/dog/empty.png").touch()
    (root / "train/dog/empty_too.png").touch()
    (root / "train/dog/gone.png").symlink_to("nowhere.png")
    (root / "readme.txt").touch()
    return root


def inspect(dataset: Path, **options: str) -> Inspection:
    return inspect_manifest(read_manifest(DatasetConfig(dataset=str(dataset), **options)))


def test_everything_there_is_to_know(dataset):
    found = inspect(dataset)
    assert found.n_images == 14
    assert found.classes == {"cat": {"train": 6, "test": 2}, "dog": {"train": 4, "val": 2}}
    assert found.splits == {"train": 10, "val": 2, "test": 2}
    assert found.imbalance_ratio == pytest.approx(8 / 6)
    assert found.n_unlabelled == 0
    assert found.groups is None
    assert found.width_px == Extent(8, 8, 20)
    assert found.height_px == Extent(6, 6, 10)
    assert found.size_bytes.min == (dataset / "train/cat/0.png").stat().st_size
    assert found.formats == {"PNG": 9, "BMP": 1}
    assert found.modes == {"L": 9, "RGB": 1}
    assert found.ignored == {".txt": 1}


def test_broken_files_are_named_with_their_reason(dataset):
    reasons = {broken.id: broken.reason for broken in inspect(dataset).broken}
    assert reasons.pop("train/cat/broken.jpg").startswith(("not an image", "truncated"))
    assert reasons == {
        "train/dog/empty.png": "empty file (0 bytes)",
        "train/dog/empty_too.png": "empty file (0 bytes)",
        "train/dog/gone.png": "file not found",
    }


def test_duplicates_and_where_they_lie(dataset):
    found = inspect(dataset).duplicates
    facts = [(d.ids, d.across_classes, d.across_splits) for d in found]
    assert facts == [
        (["train/cat/2.png", "val/dog/wrong.png"], True, True),
        (["test/cat/leak.png", "train/cat/1.png"], False, True),
        (["train/cat/0.png", "train/cat/twin.png"], False, False),
    ], "the worst first; broken files are nobody's duplicates"
    assert all(len(d.sha256) == 64 for d in found)


def test_groups_that_straddle_splits(tmp_path):
    for i in range(5):
        picture(tmp_path / f"{i}.png", i)
    (tmp_path / "m.csv").write_text(
        "path,label,group,split\n0.png,a,p,train\n1.png,a,p,train\n2.png,b,p,test\n"
        "3.png,b,q,test\n4.png,b,q,test\n"
    )
    groups = inspect(tmp_path / "m.csv").groups
    assert groups.n_groups == 2
    assert groups.n_images == Extent(2, 2.5, 3)
    assert groups.straddling == {"p": {"train": 2, "test": 1}}
    assert inspect(tmp_path / "m.csv").advice == [
        "Class 'a' has too few images for 5 folds (2): collect more, merge it, or leave it out.",
        "Class 'b' has too few images for 5 folds (3): collect more, merge it, or leave it out.",
        "Class 'b' has no image in train: the model cannot learn it.",
        "Groups in more than one split: 1. An estimate on the test split will be too good.",
    ]


def test_classes_that_look_alike_are_pointed_out(tmp_path):
    rows = [(f"{i}.png", label) for i, label in enumerate(["Cat", "cat ", "dog"] * 5)]
    (tmp_path / "m.csv").write_text("path,label\n" + "".join(f"{p},{c}\n" for p, c in rows))
    assert inspect(tmp_path / "m.csv").advice == [
        "Classes that differ only in case or spaces: 'Cat' (5 images), 'cat ' (5 images)."
    ]


def test_a_folder_around_the_class_folders_is_pointed_out(tmp_path):
    for i in range(5):
        picture(tmp_path / f"photos/cat/{i}.png", i)
        picture(tmp_path / f"photos/dog/{i}.png", 10 + i)
    assert inspect(tmp_path).advice == [
        f"All images are in one folder that has subfolders: did you mean {tmp_path}/photos?"
    ]
    assert inspect(tmp_path / "photos").advice == []
    assert inspect(tmp_path / "photos" / "cat").advice == []


def test_unlabelled_images(tmp_path):
    picture(tmp_path / "1.png", 1)
    found = inspect(tmp_path)
    assert (found.classes, found.imbalance_ratio, found.n_unlabelled) == ({}, None, 1)
    assert found.splits == {"all": 1}


def test_nothing_decodes(tmp_path):
    (tmp_path / "1.png").touch()
    found = inspect(tmp_path)
    assert found.width_px is None
    assert found.broken == [Broken("1.png", "empty file (0 bytes)")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_manifest_that_names_a_pipe_does_not_wait_for_it(tmp_path):
    os.mkfifo(tmp_path / "1.png")
    (tmp_path / "m.csv").write_text("path\n1.png\n")
    assert inspect(tmp_path / "m.csv").broken == [Broken("1.png", "not a regular file")]


def test_a_huge_file_is_not_read(tmp_path):
    with (tmp_path / "1.png").open("wb") as file:
        file.truncate(2**30 + 1)  # sparse
    (broken,) = inspect(tmp_path).broken
    assert broken.reason == "file too large: 1073741825 bytes; the limit is 1073741824"


def test_the_number_of_threads_changes_nothing(dataset):
    manifest = read_manifest(str(dataset))
    documents = [inspect_manifest(manifest, workers=n).document() for n in (1, 8)]
    for document in documents:
        del document["elapsed_s"]
    assert documents[0] == documents[1]


def test_the_document_is_json(dataset):
    document = json.loads(json.dumps(inspect(dataset).document(), allow_nan=False))
    assert document["schema_version"] == 1
    assert document["duplicates"][0]["across_splits"] is True
    assert document["width_px"] == {"min": 8, "median": 8, "max": 20}


def test_require_all(dataset):
    with pytest.raises(QuarantinedError, match=r"4 of 14 images .* 'train/cat/broken.jpg'") as e:
        inspect(dataset).require_all()
    assert e.value.exit_code == 3


def featx(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "featx.cli.main", "inspect", *map(str, arguments)],
        capture_output=True, encoding="utf-8", errors="surrogateescape", cwd=cwd, check=False,
    )  # fmt: skip


OUTPUT = """\
set: 14 images in 2 classes, imbalance 1.3 : 1

Classes
class  train  val  test  total
─────  ─────  ───  ────  ─────
cat        6    0     2      8
dog        4    2     0      6

Width:   8 to 20, median 8 px
Height:  6 to 10, median 6 px
File:    {smallest} to {largest}, median {median} bytes
Formats: 9 PNG, 1 BMP
Modes:   9 L, 1 RGB

Broken files: 4
file                     reason
───────────────────────  {line}
train/cat/broken.jpg     {reason}
train/dog/empty.png      empty file (0 bytes)
train/dog/empty_too.png  empty file (0 bytes)
train/dog/gone.png       file not found

Exact copies: 3 sets (6 images), 3 of equal files and 0 of equal pixels in other files; \
1 within one class and split, 1 across classes, 2 across splits
across              files
──────────────────  ────────────────────────────────────
splits and classes  train/cat/2.png = val/dog/wrong.png
splits              test/cat/leak.png = train/cat/1.png
neither             train/cat/0.png = train/cat/twin.png

Passed over: 1 .txt

→ Sets of exact copies in more than one split: 2. An estimate on the test split will be too good. \
(featx fit leaves copies of test images out of training.)
→ Sets of exact copies with different labels: 1. At most one label of each can be right.
"""


def test_command_prints_exactly_this(dataset):
    result = featx("set", cwd=dataset.parent)
    found = inspect(dataset)
    expected = OUTPUT.format(
        smallest=found.size_bytes.min,
        median=f"{found.size_bytes.median:,.0f}",
        largest=f"{found.size_bytes.max:,}",
        reason=found.broken[0].reason,
        line="─" * len(found.broken[0].reason),
    )
    assert [line.rstrip() for line in result.stdout.splitlines()] == expected.splitlines()
    assert result.stderr == "Next: featx extract set\n"
    assert result.returncode == 0


def test_command_exit_codes(dataset):
    strict = featx(dataset, "--strict", "--json")
    assert strict.returncode == 3
    assert json.loads(strict.stdout)["n_images"] == 14
    assert "4 of 14 images cannot be decoded" in strict.stderr
    absent = featx(dataset / "absent")
    assert absent.returncode == 2
    assert "There is no data set at" in absent.stderr
    assert absent.stdout == ""
    assert featx(dataset / "readme.txt").returncode == 1


def test_command_carries_names_that_are_not_utf8(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    (tmp_path / os.fsdecode(b"caf\xe9/\xff.png")).touch()
    result = featx(os.fsdecode(b"caf\xe9"), cwd=tmp_path)
    assert result.returncode == 1, "nothing in it can be read"
    assert r"caf\xe9: 1 image, 1 without a label" in result.stdout
    document = json.loads(featx(tmp_path, "--json").stdout)
    assert document["broken"] == [
        {"id": os.fsdecode(b"caf\xe9/\xff.png"), "reason": "empty file (0 bytes)"}
    ]
