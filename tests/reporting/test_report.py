"""The page of a run: what it says, that it holds against any name, and what papers get."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featx
from featx.cli import main as cli
from featx.errors import RunError, UsageError
from featx.reporting.contents import Embedded
from featx.reporting.map import lay_out
from tests.lab import NETWORK, csv_rows


def text_of(run: Any) -> str:
    return (run.folder / "report.html").read_text("utf-8")


def test_the_page_says_what_results_say(run: Any) -> None:
    page, results = text_of(run), run.results
    assert 3 <= page.count('<p class="verdict">') <= 6
    read = results["estimate"]["metrics"]["balanced_accuracy"]
    shown = f"{read['value']:.3f} [{read['low']:.3f}, {read['high']:.3f}]"
    assert page.count(shown) >= 2
    assert f"featx run {run.folder}/config.yaml --set fit.overwrite=true" in page
    assert "broken.png" in page
    for name in ("ROC curves", "Precision-recall curves", "Reliability", "Accuracy by coverage",
                 "Map of the embeddings", "Least certain images"):  # fmt: skip
        assert name in page


def test_no_name_becomes_markup(run: Any) -> None:
    page = text_of(run)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("<script>") == 1
    assert page.count("<script") == 2  # featx's own, and data that no browser runs
    assert "&lt;script&gt;alert(1)" in page


def test_ids_are_unique_and_nothing_is_loaded(run: Any) -> None:
    page = text_of(run)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    addresses = re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page)
    assert addresses == []


def test_made_again_it_is_the_same_to_the_byte(run: Any, tmp_path: Path) -> None:
    again = featx.report(run, output=tmp_path / "again.html", heat_maps=False)
    assert again.read_bytes() == (run.folder / "report.html").read_bytes()


def test_figures_and_tables_for_papers(run: Any, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        featx.report(run, figures=folder, output=folder.with_suffix(".html"))
    files = sorted(p.name for p in folders[0].iterdir())
    assert {"roc.svg", "roc.png", "roc.csv", "confusion_counts.svg", "candidates.csv"} <= {*files}
    for name in files:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    counts = [int(row["images"]) for row in csv_rows(folders[0] / "confusion_counts.csv")]
    assert sum(counts) == np.sum(run.results["estimate"]["confusion_matrix"])
    last = csv_rows(folders[0] / "coverage_accuracy.csv")[-1]
    accuracy = run.results["estimate"]["metrics"]["accuracy"]["value"]
    assert float(last["accuracy"]) == pytest.approx(accuracy)
    with pytest.raises(UsageError, match="exists already"):
        featx.report(run, figures=folders[0])
    featx.report(run, figures=folders[0], overwrite=True)
    (folders[0] / "notes.txt").write_text("mine")  # files are replaced one by one
    featx.report(run, figures=folders[0], overwrite=True)
    (folders[0] / "mine.png").write_text("mine")
    with pytest.raises(UsageError, match="is not figures that featx wrote"):
        featx.report(run, figures=folders[0], overwrite=True)
    assert {(folders[0] / n).read_text() for n in ("notes.txt", "mine.png")} == {"mine"}


def test_without_the_images_the_page_says_so(run: Any, tmp_path: Path) -> None:
    gone = tmp_path / "moved"
    page = featx.report(run, dataset=gone, output=tmp_path / "p.html").read_text("utf-8")
    assert "This page has no pictures" in page
    assert "data:image/webp" not in page
    assert "ROC curves" in page


def test_a_changed_image_is_not_shown(run: Any, photos: Path, tmp_path: Path) -> None:
    copy = tmp_path / "photos"
    shutil.copytree(photos, copy)
    one, other = sorted((copy / "green").glob("*.png"))[:2]
    shutil.copy(other, one)
    page = featx.report(run, dataset=copy, output=tmp_path / "p.html").read_text("utf-8")
    assert "1 image has changed since, and is not shown" in page


def test_a_run_is_whole_where_its_page_and_card_cannot_be_made(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any) -> str:
        raise RuntimeError("no ink")

    monkeypatch.setattr("featx.reporting.run_report.write_page", fail)
    monkeypatch.setattr("featx.reporting.card.write_card", fail)
    made = featx.fit(photos, **NETWORK, cv=3, estimate="cv", report=True, runs=tmp_path, name="x",
                     cache=photos.parent / "cache")  # fmt: skip
    assert featx.load_model(made.folder).classes == made.results["classes"]
    assert not (made.folder / "report.html").exists()
    assert not (made.folder / "model" / "README.md").exists()
    said = capsys.readouterr().err
    assert "the run is whole, but its page could not be made (RuntimeError: no ink)" in said
    assert "the model has no card (RuntimeError: no ink)" in said


def test_the_command(run: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    for code in (0, 2):  # the second time the file is there
        with pytest.raises(SystemExit) as ended:
            cli.main(["report", str(run.folder), "-o", str(page)])
        assert ended.value.code == code
    out, err = capfd.readouterr()
    assert out == f"{page}\n"
    assert "exists already" in err


def test_what_is_no_run_is_refused(run: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run"):
        featx.report(tmp_path)
    old = tmp_path / "old"
    shutil.copytree(run.folder, old)
    results = json.loads((old / "results.json").read_text())
    del results["estimate"]
    (old / "results.json").write_text(json.dumps(results))
    with pytest.raises(
        RunError, match=r"results\.json' is not what featx writes: it has no estimate"
    ):
        featx.report(old)


def test_a_map_draws_every_class_of_many_and_is_the_same_twice() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [1500, 800, 2])
    X = rng.normal(size=(len(y), 8)).astype(np.float32) + y[:, None]
    many = Embedded([str(i) for i in range(len(y))], [""] * len(y), y, y < 0, X)
    one, two = (lay_out(many, seed=0) for _ in range(2))
    assert one is not None and two is not None  # noqa: PT018
    assert len(one.rows) <= 1002
    assert set(y[one.rows]) == {0, 1, 2}
    np.testing.assert_array_equal(one.tsne, two.tsne)
    few = Embedded(["a"], [""], y[:1], y[:1] < 0, X[:1])
    assert lay_out(few, seed=0) is None
