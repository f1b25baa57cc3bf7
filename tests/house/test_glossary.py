"""Every metric and every column that featx prints is explained in docs/glossary.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featx.reporting.blocks import Table
from featx.reporting.glossary import GLOSSARY
from featx.runs import load_run
from featx.stats.metrics import metric_name
from tests.lab import in_process, save_pixels

PAGE = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"
CLASSES = ("left", "middle", "right")


def terms() -> set[str]:
    """The first cell of each row of the glossary; `` / `` stands between names of one thing."""
    rows = re.findall(r"^\| (?!-|term )(.+?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name.strip("`* ").lower() for row in rows for name in row.split(" / ")}


def test_every_term_that_a_page_explains_is_explained_here() -> None:
    explained = {re.sub(r"^top \d+ ", "top k ", term.lower()) for term in GLOSSARY}
    assert explained <= terms()


def paint(root: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ["path,label,patient"]
    for c, label in enumerate(CLASSES):
        for i in range(16 - 3 * c):
            pixels = rng.integers(0, 60, (32, 32, 3))
            pixels[:, 10 * c : 10 * c + 12] += 120
            save_pixels(root / "photos" / label / f"{i:02}.png", pixels)
            rows.append(f"photos/{label}/{i:02}.png,{label},{label}-{i // 2}")
    (root / "photos.csv").write_text("\n".join([*rows, ""]))
    (root / "photos" / "left" / "broken.png").write_bytes(b"")


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Heads of the columns of all tables that are made while a test runs."""
    seen: set[str] = set()
    init = Table.__init__

    def watched(self: Any, columns: Any, *arguments: Any, **named: Any) -> None:
        seen.update(map(str, columns))
        init(self, columns, *arguments, **named)

    monkeypatch.setattr(Table, "__init__", watched)
    return seen


def test_every_metric_and_column_is_explained(
    tmp_path: Path,
    printed: set[str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATX_REPORT", "1")
    paint(tmp_path)
    featx = in_process(capfd)
    fit = ["fit", "photos.csv", "--cv", "3", "--no-heat-maps", "-q"]
    for arguments in (
        [*fit, "--name", "first", "--sampler", "smote", "--views", "1", "--learning-curve"],
        [*fit, "--name", "second", "--head", "ridge"],
        ["score", "runs/first", "photos", "-o", "scores.csv", "--report", "scores.html"],
        ["compare", "runs/first", "runs/second", "--html", "comparison.html"],
        ["audit", "photos.csv", "-o", "audit"],
    ):
        outcome = featx(*arguments)
        assert outcome.code == 0, outcome.err
    results = load_run("runs/first").results
    printed |= {metric_name(name) for name in results["estimate"]["metrics"]}
    assert len(printed) > 60
    data = {*CLASSES, "first", "second", ""}
    unknown = {name for name in printed if readable(name).lower() not in terms()} - data
    assert not unknown, "\n".join(sorted(unknown))


def readable(name: str) -> str:
    """``top k accuracy`` of ``top_3_accuracy``, ``k groups`` of ``12 groups``."""
    name = name.replace("_", " ").removesuffix(" [95 % interval]")
    return re.sub(r"^(top )?\d+(?= )(?! %)", r"\1k", name)


def test_no_term_is_explained_twice() -> None:
    rows = re.findall(r"^\| (?!-|term )(.+?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    names = [name.strip("`* ").lower() for row in rows for name in row.split(" / ")]
    assert sorted(set(names)) == sorted(names)
