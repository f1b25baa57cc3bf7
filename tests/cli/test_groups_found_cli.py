"""`featx audit` proposes groups, and `fit` says that names hold some."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.conftest import BACKBONE
from tests.lab import csv_rows


def made(root: Path) -> dict[str, str]:
    """Ten patients of six images each, alike within a patient; path -> patient."""
    rng = np.random.default_rng(0)
    truth = {}
    for patient in range(10):
        tone = rng.integers(0, 200, (6, 6, 3))
        for i in range(6):
            label = ("ill", "well")[i % 2]
            pixels = tone + rng.integers(0, 50, (6, 6, 3)) + 5 * (i % 2)
            path = root / label / f"patient{patient:02}_{rng.bytes(3).hex()}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).resize((48, 48), 0).save(path)
            truth[path.relative_to(root).as_posix()] = str(patient)
    return truth


def test_patients_are_found_written_and_obeyed(featx, tmp_path: Path) -> None:
    truth = made(tmp_path / "cells")
    data, out = str(tmp_path / "cells"), tmp_path / "found"
    done = featx("audit", data, *BACKBONE, "-o", str(out), "--json")
    assert done.code == 0, done.err
    best = json.loads(done.out)["groups_found"][0]
    assert (best["groups"], best["sure"], best["taken"]) == (10, "strong", True)
    assert "balanced accuracy" in best["effect"]["sentence"]
    groups = {row["path"]: row["group"] for row in csv_rows(out / "groups.csv")}
    assert len({(groups[path], patient) for path, patient in truth.items()}) == 10
    page = (out / "audit.html").read_text()
    assert "Groups found" in page
    assert "the number behind" in page
    said = featx("inspect", data)
    assert "10 groups by the number behind 'patient'" in said.out
    again = featx("inspect", data, "--group", str(out / "groups.csv"), "--json")
    assert json.loads(again.out)["groups"]["n_groups"] == 10
    taken = featx("inspect", data, "--group-from", r"patient(\d+)", "--json")
    assert json.loads(taken.out)["groups"]["n_groups"] == 10


def test_a_fit_says_that_names_look_like_patients(featx, tmp_path: Path) -> None:
    made(tmp_path / "cells")
    quick = ["--head", "ridge", "--cv", "2", "-j", "1", "--no-report", *BACKBONE]
    data = str(tmp_path / "cells")
    plain = featx("fit", data, *quick, "--runs", str(tmp_path / "runs"), "--name", "a")
    assert plain.code == 0, plain.err
    assert "look like 10 patients" in plain.out + plain.err
    known = ["--group-from", "name:0", "--runs", str(tmp_path / "runs"), "--name", "b"]
    grouped = featx("fit", data, *quick, *known)
    assert grouped.code == 0, grouped.err
    assert "look like" not in grouped.out + grouped.err
