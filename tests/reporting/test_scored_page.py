"""The page of new images: what it says, that it holds against any name, and in a browser."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from page_lab import BROKEN, HOSTILE, WIDTH, opened
from PIL import Image

import featx
from featx.cli import main as cli
from featx.console import counted
from featx.errors import UsageError

EVIL = "<img src=x onerror=alert(3)>"


@pytest.fixture(scope="session")
def new(photos: Path) -> Path:
    """The photos again, much darker ones, a copy, and two files that cannot be read."""
    root = photos.parent / "new"
    shutil.copytree(photos, root / "same")
    (root / "dark").mkdir()
    for k, path in enumerate(sorted((photos / "green").glob("*.png"))):
        if path.name != "broken.png":
            with Image.open(path) as image:
                image.point(lambda v: v // 6).save(root / "dark" / f"{k}{EVIL}.png")
    (root / f"{EVIL}.jpg").write_bytes(b"no image")
    return root


@pytest.fixture(scope="session")
def scored(run: Any, new: Path) -> tuple[Any, Path]:
    """Scores with their page, and the page."""
    page = new.parent / "scored.html"
    scores = featx.score(run.folder, new, report=page, output=new.parent / "s.csv",
                         cache=new.parent / "cache", abstain_below=0.6)  # fmt: skip
    return scores, page


def rows_of(page: str, section: str) -> str:
    found = re.search(f'<section[^>]*id="{section}".*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_the_page_says_what_the_scores_say(scored: tuple[Any, Path], run: Any) -> None:
    scores, path = scored
    page = path.read_text("utf-8")
    document = scores.document()
    assert document["page"] == str(path)
    abstained = rows_of(page, "abstained")
    assert counted(document["abstained"], "image") + ", the least sure first" in abstained
    classes = rows_of(page, "classes")
    for name, n in scores.counts().items():
        if name != HOSTILE:
            assert re.search(f">{re.escape(name)}</td><td>{n}</td>", classes)
    unreadable = rows_of(page, "unreadable")
    assert "2 files could not be read" in unreadable
    assert "same/green/broken.png" in unreadable
    assert "&lt;img src=x onerror=alert(3)&gt;.jpg" in unreadable
    n_tiles = rows_of(page, "sheet").count("<li>")
    assert n_tiles == sum(min(n, 16) for n in scores.counts().values())
    accuracy = run.results["estimate"]["metrics"]["accuracy"]["value"]
    assert f"its accuracy is {accuracy:.3f}" in page
    assert f"featx score {run.folder}" in page
    assert "--abstain-below 0.6" in page
    assert "--overwrite" in page


def test_no_name_becomes_markup_and_nothing_is_loaded(scored: tuple[Any, Path]) -> None:
    page = scored[1].read_text("utf-8")
    assert page.count("<script") == 1  # featx's own
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page) == []


def test_again_it_is_the_same_to_the_byte_but_for_times(
    scored: tuple[Any, Path], run: Any, new: Path, tmp_path: Path
) -> None:
    again = featx.score(run.folder, new, report=tmp_path / "p.html", output=tmp_path / "s.csv",
                        cache=new.parent / "cache", abstain_below=0.6)  # fmt: skip
    assert again.drift == scored[0].drift
    one, two = (
        p.read_text("utf-8").split('id="again"')[0] for p in (scored[1], tmp_path / "p.html")
    )
    assert one == two


def test_the_same_images_have_not_drifted_and_dark_ones_have(
    run: Any, new: Path, tmp_path: Path
) -> None:
    cache = new.parent / "cache"
    same = featx.score(run.folder, new / "same", report=tmp_path / "a.html", cache=cache)
    assert same.drift is None  # 36 training images are too few for a sample of 20
    assert "Drift: not tested. The model has no sample" in (tmp_path / "a.html").read_text("utf-8")


def test_drift_is_tested_and_said(
    larger: Any, new: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photos = new.parent / "larger"
    command = ["score", str(larger.folder), "-o", str(tmp_path / "s.csv"), "--overwrite",
               "--cache", str(new.parent / "cache"), "--json"]  # fmt: skip
    found = []
    for images, name in ((photos, "same"), (new / "dark", "dark")):
        with pytest.raises(SystemExit) as ended:
            cli.main([*command, str(images), "--report", str(tmp_path / f"{name}.html")])
        assert ended.value.code == 0
        found.append(json.loads(capfd.readouterr().out)["drift"])
    same, dark = found
    assert not same["drift"]
    assert same["training_images"] == 60
    assert dark["drift"]
    assert dark["embeddings"]["p_adjusted"] == pytest.approx(0.002)
    page = (tmp_path / "dark.html").read_text("utf-8")
    assert "Drift: these images look different from the training images" in page
    assert "New images farthest that way" in page
    assert "Drift: none is found." in (tmp_path / "same.html").read_text("utf-8")


def test_groups_of_a_manifest_are_permuted_whole(larger: Any, new: Path, tmp_path: Path) -> None:
    files = sorted((new.parent / "larger" / "b").glob("*.png"))[:40]
    manifest = new.parent / "larger" / "m.csv"
    with manifest.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "group"])
        writer.writerows([f"b/{path.name}", f"patient {k // 4}"] for k, path in enumerate(files))
    options: dict[str, Any] = {"cache": new.parent / "cache", "report": tmp_path / "p.html"}
    scores = featx.score(larger.folder, manifest, **options)
    assert scores.drift is not None
    assert scores.drift["images"] == 40
    assert "Whole groups are permuted." in (tmp_path / "p.html").read_text("utf-8")
    model = larger.model
    without = featx.score(replace(model, drift=None), files[0].parent, overwrite=True, **options)
    assert without.drift is None
    few = tmp_path / "few"
    few.mkdir()
    for k in range(12):  # copies are one image
        shutil.copy(files[k % 6], few / f"{k}.png")
    few_scores = featx.score(model, few, overwrite=True, **options)
    assert few_scores.drift is None
    assert "too few: at least 10 different ones" in (tmp_path / "p.html").read_text("utf-8")


def test_nothing_readable_is_a_page_too(run: Any, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"no")
    featx.score(run.folder, tmp_path / "bad", report=tmp_path / "p.html", cache=tmp_path / "c")
    page = (tmp_path / "p.html").read_text("utf-8")
    assert "1 file could not be read, and nothing is predicted for it." in page


def test_what_is_there_is_not_replaced(run: Any, new: Path, tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    page.write_text("mine")
    for options, words in (
        ({"report": page}, "exists already"),
        (
            {"report": tmp_path / "s.csv", "output": tmp_path / "s.csv"},
            r"--report .* is what -o writes",
        ),
    ):
        with pytest.raises(UsageError, match=words):
            featx.score(run.folder, new, cache=tmp_path / "c", **options)
    assert page.read_text() == "mine"
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_the_page_is_whole(
    chromium: Any, scored: tuple[Any, Path], width: int, scheme: str
) -> None:
    heard: list[str] = []
    page = opened(chromium, scored[1], width, scheme, heard)
    assert heard == []
    assert page.evaluate("document.images.length") > 50
    assert page.evaluate(BROKEN) == 0
    assert page.evaluate("[...document.images].every(i => i.alt)")
    assert page.evaluate(WIDTH) <= width
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (shade == "rgb(255, 255, 255)") == (scheme == "light")
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    page.close()
