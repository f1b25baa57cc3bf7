"""Files of other kinds: told apart, counted, and never passed over in silence."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featx.config import DatasetConfig
from featx.data import imagetypes
from featx.data.decode import decode_image
from featx.data.kinds import HEIC, kind_of, sniff
from featx.data.passed import passed_over
from featx.data.reader import read_manifest
from featx.data.remarks import remarks
from featx.errors import DatasetError, DecodeError

FAKE_HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500)
MOVIE = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(100)


@pytest.fixture
def no_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where pillow-heif is not installed."""
    for name in ("featx.data.imagetypes.has_heif", "featx.data.pillow.has_heif"):
        monkeypatch.setattr(name, lambda: False)
    from featx.data import pillow

    pillow._formats.cache_clear()
    monkeypatch.setattr(pillow, "_formats", lambda: tuple(imagetypes.FORMATS))


def fill(root: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return str(root)


FILES = {
    "cat/1.jpg": b"", "dog/1.jpg": b"", "cat/a.HEIC": FAKE_HEIC, "cat/b.heif": FAKE_HEIC,
    "cat/c": FAKE_HEIC, "raw/x.CR2": b"", "raw/y.nef": b"", "doc/z.pdf": b"", "film.mp4": b"",
    "old.MP4": b"", "notes.txt": b"", "cat/Thumbs.db": b"", "cat/.DS_Store": b"",
}  # fmt: skip


def test_kinds_are_counted_and_said_in_one_sentence(tmp_path, no_heif):
    manifest = read_manifest(fill(tmp_path, FILES))
    assert manifest.ids == ["cat/1.jpg", "dog/1.jpg"]
    assert manifest.ignored == {
        "HEIC": 2, "HEIC (without an ending)": 1, "camera raw (.cr2)": 1, "camera raw (.nef)": 1,
        "PDF": 1, "video (.mp4)": 2, ".txt": 1, ".db": 1, "hidden": 1,
    }  # fmt: skip
    words = passed_over(manifest)
    assert words.startswith("2 HEIC (needs featx[heif]), 2 videos (.mp4), ")
    assert words.endswith("1 .txt, 1 hidden") or "1 .db" in words
    assert sorted(p.id for p in manifest.unread) == sorted(
        ["cat/a.HEIC", "cat/b.heif", "cat/c", "raw/x.CR2", "raw/y.nef", "doc/z.pdf", "film.mp4",
         "old.MP4"]
    )  # fmt: skip


def test_a_class_of_which_nothing_is_read_is_named(tmp_path, no_heif):
    heic = {f"fox/IMG_{i}.HEIC": FAKE_HEIC for i in range(6)}
    dataset = fill(tmp_path, {"cat/1.jpg": b"", "dog/1.jpg": b"", "readme.txt": b"", **heic})
    (tmp_path / "hen").mkdir()
    assert list(remarks(read_manifest(dataset))) == [
        "Folder 'fox' has 6 files, none of which can be read: 6 HEIC (needs featx[heif]).",
        "Folder 'hen' has no file in it.",
    ]
    split = {f"{s}/{c}/1.jpg": b"" for s in ("train", "test") for c in ("cat", "dog")}
    dataset = fill(tmp_path / "split", {**split, "train/fox/1.pdf": b"", "test/fox/1.jpg": b"",
                                        "train/list.txt": b""})  # fmt: skip
    assert list(remarks(read_manifest(dataset))) == [
        "Folder 'train/fox' has 1 file, none of which can be read: 1 PDF."
    ]


def test_a_folder_of_nothing_else_says_what_to_install(tmp_path, no_heif):
    with pytest.raises(DatasetError, match=r"No images .* \(1 HEIC \(needs featx\[heif\]\)\)") as e:
        read_manifest(fill(tmp_path, {"cat/1.heic": FAKE_HEIC}))
    assert e.value.hint.startswith("pip install 'featx[heif]'")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (FAKE_HEIC, "HEIC, which needs featx[heif]"),
        (MOVIE, "video (mp42), which featx does not read"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "camera raw (CR3)"),
        (b"%PDF-1.7", "PDF, which"),
        (b"8BPS\0\1", "PSD, which"),
        (bytes(128) + b"DICM", "DICOM, which"),
        (b"<?xml version='1.0'?>\n<svg xmlns=''>", "SVG, which"),
        (b"\xff\x0a\x00", "JPEG XL, which"),
        (b"<!DOCTYPE html><html>", "not an image: web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "pointer of Git LFS, which"),
        (b"PK\x03\x04", "not an image: zip archive"),
    ],
)
def test_the_reason_names_the_kind_whatever_the_file_is_called(data, reason, no_heif):
    """A HEIC named .jpg is common: an iPhone's photos, renamed."""
    with pytest.raises(DecodeError) as caught:
        decode_image(data)
    assert caught.value.message.startswith(reason)


def test_only_files_whose_ending_says_nothing_are_opened(tmp_path, monkeypatch):
    monkeypatch.setattr("featx.data.kinds._first_bytes", lambda path: pytest.fail(path))
    for name in ("a.txt", "b.csv", "c.heic", "d.MP4", "e.db"):
        kind_of(str(tmp_path / name))


@given(st.binary(max_size=600))
def test_any_bytes_are_a_kind_or_none(data):
    kind = sniff(data)
    assert kind is None or kind.reason
    for brand in (b"heic", b"heix", b"mif1", b"hevc"):
        assert sniff(b"\0\0\0\x10ftyp" + brand + data) in (HEIC, sniff(b"\0\0\0\x1cftypavif"))


def test_the_first_image_of_a_film_of_avif_is_read():
    film, first = io.BytesIO(), Image.new("RGB", (32, 24), (200, 10, 10))
    first.save(film, "AVIF", save_all=True, append_images=[Image.new("RGB", (32, 24))])
    assert film.getvalue()[8:12] == b"avis"
    assert decode_image(film.getvalue()).getpixel((5, 5))[0] > 150


@pytest.mark.parametrize(("name", "image"), [("a.nii.gz", True), ("a.tar.gz", False),
                                             ("a.TGA", True), ("favicon.ico", False),
                                             ("b.jpg.txt", False), ("c.JXL", True)])  # fmt: skip
def test_which_kinds_may_hold_images(tmp_path, name, image):
    (tmp_path / name).touch()
    assert kind_of(str(tmp_path / name)).image == image


def test_an_excluded_file_of_another_kind_is_not_counted(tmp_path, no_heif):
    dataset = fill(tmp_path / "photos", {"a/1.jpg": b"", "a/2.heic": FAKE_HEIC, "b/1.jpg": b""})
    (tmp_path / "leave.csv").write_text("path\na/2.heic\n")
    config = DatasetConfig(dataset=dataset, exclude=[str(tmp_path / "leave.csv")])
    manifest = read_manifest(config)
    assert manifest.ignored == {"excluded": 1}
    assert manifest.unread == []
