"""Copies with other bytes: every command counts them alike and keeps them together."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import BACKBONE
from tests.lab import NUMERICS, Featx, csv_rows, flags

NUMBERS = flags(NUMERICS)
QUIET = ("--no-report", "-j", "1", "--json")
ROTATED = 6  # EXIF: turn by 270 degrees to be upright


def picture(seed: int, size: tuple[int, int] = (40, 48)) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def with_comment(path: Path) -> bytes:
    """The same JPEG with a comment in its header: other bytes, equal pixels."""
    data = path.read_bytes()
    return data[:2] + b"\xff\xfe\x00\x08hello!" + data[2:]


def turned(image: Image.Image) -> bytes:
    """On its side, with an EXIF note of how to turn it back."""
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    file = BytesIO()
    image.transpose(Image.Transpose.ROTATE_90).save(file, "TIFF", exif=exif.tobytes())
    return file.getvalue()


@pytest.fixture(scope="session")
def recoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training copies of test images in other bytes, two in classes, and one in equal bytes."""
    root = tmp_path_factory.mktemp("recoded")
    for s, (split, count) in enumerate((("train", 10), ("test", 5))):
        for c, label in enumerate("ab"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                picture(100 * s + 30 * c + i).save(folder / f"{i}.png")
    a, b = root / "train" / "a", root / "train" / "b"
    picture(100).save(a / "of-test-0.bmp")
    picture(101).save(a / "of-test-1.webp", lossless=True)
    (a / "of-test-2.tif").write_bytes(turned(picture(102)))
    (b / "of-test-0.png").write_bytes((root / "test" / "b" / "0.png").read_bytes())
    picture(3).save(a / "twin.bmp")  # of train/a/3
    picture(4).save(b / "clash.bmp")  # of train/a/4
    picture(900).save(a / "photo.jpg")
    (root / "test" / "a" / "photo.jpg").write_bytes(with_comment(a / "photo.jpg"))
    return root


EXPECTED = {
    "sets": 7,
    "images": 14,
    "equal_files": 1,
    "equal_pixels": 6,
    "within": 1,
    "across_classes": 1,
    "across_splits": 5,
}
SENTENCE = (
    "Exact copies: 7 sets (14 images), 1 of equal files and 6 of equal pixels in other files; "
    "1 within one class and split, 1 across classes, 5 across splits"
)


def test_inspect_audit_and_fit_count_alike(featx: Featx, recoded: Path, tmp_path: Path) -> None:
    inspected = featx("inspect", recoded)
    assert SENTENCE in inspected.out
    audited = featx("audit", recoded, *BACKBONE, *NUMBERS, "-o", tmp_path / "a", "--json")
    document = json.loads(audited.out)
    assert document["exact_copies"] == EXPECTED
    assert f"{SENTENCE}." in document["summary"]
    assert sum(c["exact"] for c in document["copies"]) == 7
    fitted = featx(
        "fit",
        recoded,
        *BACKBONE,
        *NUMBERS,
        *QUIET,
        "--cv",
        "3",
        "--runs",
        tmp_path,
        "--name",
        "r",
        *("--head", "ridge"),
    )
    results = json.loads(fitted.out)
    assert results["dataset"]["exact_copies"] == EXPECTED
    assert any(note.startswith(SENTENCE) for note in results["notes"])
    assert any(
        "5 training images are copies of test images (1 in equal files, 4 of equal pixels" in note
        for note in results["notes"]
    )
    assert results["n_images"] == 27 - 5
    assert results["n_test_images"] == 11
    clash = [note for note in results["notes"] if "at most one label can be right" in note]
    assert len(clash) == 1
    rows = csv_rows(tmp_path / "r" / "predictions.csv")
    fold = {row["id"]: row["fold"] for row in rows if row["split"] == "oof"}
    unit = {row["id"]: row["unit"] for row in rows if row["split"] == "oof"}
    for one, other in (
        ("train/a/3.png", "train/a/twin.bmp"),
        ("train/a/4.png", "train/b/clash.bmp"),
    ):
        assert fold[one] == fold[other]
        assert unit[one] == unit[other]


def test_finetune_leaves_out_what_fit_leaves_out(
    featx: Featx, recoded: Path, tmp_path: Path
) -> None:
    made = featx(
        *("finetune", recoded, *BACKBONE, *NUMBERS, "--folds", "2", "--epochs", "1"),
        *("--runs", tmp_path, "--name", "t", "--train-batch", "8", "--unfreeze", "last-1"),
        *("--no-report", "-j", "1", "--json"),
    )
    assert made.code == 0, made.err
    results = json.loads(made.out)
    assert results["dataset"]["exact_copies"] == EXPECTED
    assert results["n_images"] == 27 - 5
    assert results["near_copies"]["images"] == 11
    assert any(note.startswith(SENTENCE) for note in results["notes"])


@pytest.mark.parametrize("mode", ["scaled", "views"])
def test_scaled_decoding_and_views_keep_hashes_too(
    featx: Featx, recoded: Path, tmp_path: Path, mode: str
) -> None:
    more = ["--decode", "scaled"] if mode == "scaled" else ["--views", "1"]
    fitted = featx(
        *(
            "fit",
            recoded,
            *BACKBONE,
            *NUMBERS,
            *more,
            *QUIET,
            "--cv",
            "2",
            "--cache",
            tmp_path / "cache",
        ),
        *("--runs", tmp_path / "runs", "--name", "r"),
    )
    assert fitted.code == 0, fitted.err
    assert json.loads(fitted.out)["dataset"]["exact_copies"] == EXPECTED


@pytest.mark.parametrize("depth", [8, 16])
def test_images_that_all_come_out_alike_are_said(featx: Featx, tmp_path: Path, depth: int) -> None:
    rng = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "dark" / label).mkdir(parents=True)
        for i in range(6):
            values = rng.integers(0, 128, (20, 20)).astype(np.uint16)
            if depth == 8:
                values = np.zeros((20, 20 + i), np.uint8)
            Image.fromarray(values).save(tmp_path / "dark" / label / f"{i}.png")
    inspected = featx("inspect", tmp_path / "dark")
    assert inspected.code == 0
    said = "All 12 images come out alike" if depth == 16 else "All 12 images decode to a single"
    assert said in inspected.out
    assert ("16 bits" in inspected.out) == (depth == 16)
    where = ("--cache", tmp_path / "c")
    audited = featx("audit", tmp_path / "dark", *BACKBONE, *NUMBERS, *where, "-o", tmp_path / "o")
    assert audited.code == 0
    assert "All 12 images give the same embedding" in audited.out
    assert "serious, images that come out alike" in audited.out
    assert "No copies" not in audited.out
    fitted = featx("fit", tmp_path / "dark", *BACKBONE, *NUMBERS, *where, "--runs", tmp_path)
    assert fitted.code == 1
    assert "All 12 training images" in fitted.err
    assert "Nothing can be learned" in fitted.err or "nothing can be learned" in fitted.err
    assert "Run again with -v" not in fitted.err


def test_most_images_alike_is_said_and_not_refused(featx: Featx, tmp_path: Path) -> None:
    for c, label in enumerate("ab"):
        (tmp_path / "p" / label).mkdir(parents=True)
        for i in range(6):
            picture(100 * c + i).save(tmp_path / "p" / label / f"{i}.png")
            Image.new("RGB", (20, 20), (0, 0, i // 9)).save(tmp_path / "p" / label / f"x{i}.bmp")
        Image.new("RGB", (20, 20)).save(tmp_path / "p" / label / "y.bmp")
    where = ("--cache", tmp_path / "c", "--runs", tmp_path, "--name", "r")
    fitted = featx("fit", tmp_path / "p", *BACKBONE, *NUMBERS, *where, *QUIET, "--cv", "2")
    assert fitted.code == 0, fitted.err
    notes = json.loads(fitted.out)["notes"]
    assert any(note.startswith("14 of 26 training images come out alike") for note in notes)
