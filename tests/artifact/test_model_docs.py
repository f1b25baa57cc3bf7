"""docs/models.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featx.artifact.document import FORMAT, FORMAT_VERSION, Document
from featx.formats import write_rows
from featx.scoring.scores import Scores
from featx.scoring.sorting import MARKER, UNREADABLE

DOCS = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")


def test_every_key_of_model_json_is_explained() -> None:
    rows = re.findall(r"^\| (`\w.*?) \|", DOCS.split("## model.json")[1].split("##")[0], re.M)
    keys = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert keys == {*Document.model_fields, "sha256"}
    assert f"`{FORMAT}`, {FORMAT_VERSION}" in DOCS or f"| `{FORMAT}`, {FORMAT_VERSION} |" in DOCS


def test_every_column_is_explained() -> None:
    trust = {"sets": np.empty((0, 1), bool), "ood_scores": np.empty(0)}
    trust |= {"abstained": np.empty(0, bool), "ood": np.empty(0, bool)}
    scores = Scores(
        [], ["cat"], np.empty(0), np.empty((0, 1)), [], {}, top_k=2, proba=True, **trust
    )
    assert len(scores.columns) == 12
    for column in scores.columns:
        assert f"`{column.replace('p_cat', 'p_<class>')}`" in DOCS


def test_the_csv_snippet_gives_the_text_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [["path"], ["-x.jpg"], ["'q"], ["a\r\nb"], ["caf\udce9.jpg"]]
    write_rows(tmp_path / "scores.csv", rows[0], rows[1:])
    monkeypatch.chdir(tmp_path)
    [snippet] = re.findall(r"```python\n(import csv.*?)```", DOCS, re.S)
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert names["rows"] == rows


def test_names_of_sorted_folders() -> None:
    assert f"`DIR/{UNREADABLE}`" in DOCS
    assert f"`{MARKER}`" in DOCS
