"""`featx audit`: what it writes, what it says, and lists that the other commands take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import BACKBONE
from tests.lab import csv_rows

HOSTILE = "<script>alert(1)<"


def blobs(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((72, 72), Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def faulty(workspace: Path) -> Path:
    """Splits with an exact copy, a smaller one, two under another label, and a hostile class."""
    root = workspace / "faulty"
    for number, (split, count) in enumerate((("train", 10), ("test", 4))):
        for label in ("cat", HOSTILE):
            folder = root / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                seed = 100 * number + 10 * len(label) + i
                blobs(seed).save(folder / f"{i}.png")
    train, test = root / "train" / "cat", root / "test" / "cat"
    (test / "exact.png").write_bytes((train / "0.png").read_bytes())
    blobs(31).resize((48, 48)).save(test / "smaller.png")  # train/cat/1.png
    blobs(32).save(root / "train" / HOSTILE / "clash.jpg", quality=95)  # train/cat/2.png
    (root / "train" / HOSTILE / "twin.png").write_bytes((train / "3.png").read_bytes())
    (train / "broken.png").write_bytes(b"")
    return root


@pytest.fixture(scope="session")
def audited(workspace: Path) -> Path:
    return workspace / "found"


@pytest.fixture
def report(featx, faulty: Path, audited: Path) -> dict:
    """``audit.json`` of the faulty images, made once."""
    if not audited.exists():
        made = featx("audit", str(faulty), *BACKBONE, "-o", str(audited), "--json")
        assert made.code == 0, made.err
        assert json.loads(made.out) == json.loads((audited / "audit.json").read_text())
    return json.loads((audited / "audit.json").read_text())


def test_planted_copies_are_found_and_nothing_else(report: dict) -> None:
    found = {frozenset(c["ids"]): c for c in report["copies"]}
    exact = found[frozenset({"train/cat/0.png", "test/cat/exact.png"})]
    near = found[frozenset({"train/cat/1.png", "test/cat/smaller.png"})]
    clash = found[frozenset({"train/cat/2.png", f"train/{HOSTILE}/clash.jpg"})]
    assert (exact["exact"], exact["across_splits"], exact["across_classes"]) == (True, True, False)
    assert (near["exact"], near["across_splits"]) == (False, True)
    assert clash["across_classes"]
    twins = found[frozenset({"train/cat/3.png", f"train/{HOSTILE}/twin.png"})]
    assert twins["exact"]
    assert twins["across_classes"]
    assert len(found) == 4
    assert report["serious"][:2] == ["copies across splits", "copies with different labels"]
    assert [broken["id"] for broken in report["quarantined"]] == ["train/cat/broken.png"]


def test_lists_keep_the_test_image_and_leave_near_contradictions_to_people(
    report: dict, audited: Path
) -> None:
    """Equal files under two labels go, as no label is known; what only looks alike stays."""
    assert {row["path"] for row in csv_rows(audited / "exclude.csv")} == {
        "train/cat/0.png",
        "train/cat/1.png",
        "train/cat/3.png",
        f"train/{HOSTILE}/twin.png",
    }
    groups = csv_rows(audited / "groups.csv")
    assert len(groups) == 8
    assert len({row["group"] for row in groups}) == 4


def test_fit_takes_the_lists(featx, report: dict, faulty: Path, audited: Path) -> None:
    lists = ["--exclude", str(audited / "exclude.csv"), "--group", str(audited / "groups.csv")]
    made = featx("fit", str(faulty), *BACKBONE, *lists, "--cv", "2", "--name", "clean", "--json")
    assert made.code == 0, made.err
    document = json.loads(made.out)
    assert document["dataset"]["images"] == report["images"] + 1 - 4  # the broken one is a row
    (audited / "wrong.txt").write_text("train/cat/77.png\n")
    failed = featx("fit", str(faulty), *BACKBONE, "--exclude", str(audited / "wrong.txt"))
    assert failed.code == 1
    assert "names 1 of 1 images" in failed.err
    assert "Did you mean" in failed.err


def test_strict_fails_where_something_is_serious(featx, report: dict, faulty: Path) -> None:
    failed = featx("audit", str(faulty), *BACKBONE, "-o", "strict", "--strict")
    assert failed.code == 1
    assert "The audit found: copies across splits, copies with different labels" in failed.err
    exact = sum(row["exact"] for row in report["copies"])
    assert f"sets of copies: {exact} exact" in failed.out
    assert report["summary"][1] not in failed.out
    spoken = featx("audit", str(faulty), *BACKBONE, "-o", "spoken", "-v")
    assert "Exact copies: 2 sets (4 images), 2 of equal files and 0 of equal" in spoken.out
    assert "Near copies: 2 sets of images that are resized, recompressed, cut" in spoken.out
    assert (Path("strict") / "audit.html").exists()  # it is written all the same


def test_nothing_is_overwritten_unasked(featx, report: dict, faulty: Path, audited: Path) -> None:
    refused = featx("audit", str(faulty), *BACKBONE, "-o", str(audited))
    assert refused.code == 2
    assert "exists already" in refused.err
    several = featx("audit", str(faulty), *BACKBONE, "--backbone", "featx:mini-v1", "-o", "x")
    assert several.code == 2
    assert "An audit takes one backbone" in several.err


def test_names_cannot_run_on_the_page(report: dict, audited: Path) -> None:
    page = (audited / "audit.html").read_text("utf-8")
    assert page.count("<script") == 1  # featx's own
    assert "&lt;script&gt;alert(1)&lt;" in page
    assert page.count("data:image/webp;base64,") >= 6
    assert "http" not in page.replace("http-equiv", "")


def test_images_without_labels_are_audited_for_copies(featx, workspace: Path) -> None:
    folder = workspace / "plain"
    folder.mkdir(exist_ok=True)
    for name, seed in (("a", 1), ("b", 2), ("c", 1)):
        blobs(seed).save(folder / f"{name}.png")
    made = featx("audit", "plain", *BACKBONE, "-o", "plain-audit", "--strict", "--json")
    assert made.code == 0, made.err
    document = json.loads(made.out)
    assert [c["ids"] for c in document["copies"]] == [["a.png", "c.png"]]
    assert document["serious"] == []
    assert document["label_issues"] is None
    assert document["notes"] == ["Labels, classes and shortcuts: fewer than two classes."]
