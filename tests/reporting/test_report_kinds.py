"""Pages of runs of other kinds: fine-tuned, with a learning curve, of many classes."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_lab import BROKEN, WIDTH, opened

import featx
from featx.reporting.figures import most_confused
from tests.lab import csv_rows


def section(run: Any, name: str) -> str:
    page = (run.folder / "report.html").read_text("utf-8")
    found = re.search(f'<section[^>]*id="{name}".*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_a_fine_tuned_run_shows_its_training(tuned: Any, tmp_path: Path) -> None:
    learning = section(tuned, "learning")
    assert "Training: loss by epoch" in learning
    assert "Training: score by epoch" in learning
    assert "Fine-tuning is" in section(tuned, "found")
    assert "the backbone was trained too" in section(tuned, "data")
    assert "--set finetune.overwrite=true" in section(tuned, "again")
    featx.report(tuned, output=tmp_path / "p.html", figures=tmp_path / "figures")
    drawn = csv_rows(tmp_path / "figures" / "training_loss.csv")
    made = csv_rows(tuned.folder / "curves.csv")
    for column in ("train_loss", "validation_loss"):  # empty where there is none, as at epoch 0
        losses = [[float(r[column] or "nan") for r in table] for table in (drawn, made)]
        np.testing.assert_array_equal(*losses)


def test_a_learning_curve_is_shown(larger: Any, tmp_path: Path) -> None:
    learning = section(larger, "learning")
    curve = larger.results["learning_curve"]
    assert "Learning curve" in learning
    assert curve["summary"][0] in learning
    featx.report(larger, output=tmp_path / "p.html", figures=tmp_path / "figures")
    drawn = csv_rows(tmp_path / "figures" / "learning_curve.csv")
    measured = [int(r["n_images"]) for r in drawn if r["kind"] == "measured"]
    assert measured == [size["n_images"] for size in curve["sizes"]]


def test_of_many_classes_those_that_matter_have_names(many: Any, tmp_path: Path) -> None:
    confusion = section(many, "confusion")
    assert "Where most mistakes are" in confusion
    assert "45 names have no room here" in confusion
    featx.report(many, output=tmp_path / "p.html", figures=tmp_path / "figures")
    counts = np.array(many.results["estimate"]["confusion_matrix"])
    pairs = csv_rows(tmp_path / "figures" / "confused_pairs.csv")
    assert sum(int(r["images"]) for r in pairs) == counts.sum() - np.trace(counts)
    classes = many.results["classes"]
    for row in pairs:
        i, j = (classes.index(row[k]) for k in ("true", "predicted"))
        assert int(row["images"]) == counts[i, j]
        assert float(row["share_of_true"]) == pytest.approx(counts[i, j] / counts[i].sum())
    most = [classes[c] for c in most_confused(counts)]
    drawn = csv_rows(tmp_path / "figures" / "confusion_most.csv")
    assert {r[k] for r in drawn for k in ("true", "predicted")} <= {*most}
    wrong = counts - np.diag(np.diag(counts))
    involved = wrong.sum(axis=0) + wrong.sum(axis=1)
    least = min(involved[classes.index(c)] for c in most)
    assert all(involved[k] <= least for k, c in enumerate(classes) if c not in most)
    legend = section(many, "map")
    marks = re.findall(r'<li><svg[^>]*class="swatch"><path d="([^"]*)" class="([^"]*)"', legend)
    assert len(marks) == len(set(marks)) == 36  # no two agree in shape and colour
    neighbours = itertools.pairwise(marks)
    assert all(a[0] != b[0] and a[1] != b[1] for a, b in neighbours)
    assert "grey: 9 smaller classes" in legend
    assert "class 35</li>" in legend
    assert "class 36</li>" not in legend


@pytest.mark.parametrize("kind", ["tuned", "larger", "many"])
def test_the_page_is_whole(chromium: Any, kind: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(kind)
    for width, scheme in ((400, "dark"), (1400, "light")):
        heard: list[str] = []
        page = opened(chromium, run.folder / "report.html", width, scheme, heard)
        assert heard == []
        assert page.evaluate(BROKEN) == 0
        assert page.evaluate(WIDTH) <= width
        page.close()
