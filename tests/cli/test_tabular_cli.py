"""``--tabular`` from the command line: fit, score, evaluate, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import featx as package
from tests.cli.conftest import BACKBONE, Featx, paint
from tests.lab import csv_rows

FIT = ["--head", "lda", "--cv", "3", "-j", "1"]


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def manifest(workspace: Path) -> Path:
    """Forty grey images: the class is in the age, not in the pixels; some ages are empty."""
    folder = workspace / "aged"
    path = folder / "m.csv"
    if path.exists():
        return path
    rng, rows = np.random.default_rng(0), []
    for i in range(40):
        paint(folder / f"{i}.png", (90, 90, 90), rng)
        age = "" if i % 9 == 8 else f"{40 + 30 * (i % 2) + rng.normal():.1f}"
        rows.append({"path": f"{i}.png", "label": "ab"[i % 2], "age": age, "sex": "FM"[i // 2 % 2]})
    write(path, rows)
    return path


@pytest.fixture
def fitted(featx: Featx, workspace: Path, manifest: Path) -> Path:
    """A run on the age and the sex."""
    folder = workspace / "runs" / "aged"
    if not folder.exists():
        done = featx("fit", str(manifest), *BACKBONE, *FIT, "--tabular", "age", "--tabular",
                     "sex:category", "--name", "aged", "-v", "--report")  # fmt: skip
        assert done.code == 0, done.err
        assert "The columns help" in done.out
        assert "minus no columns" in done.out
    return folder


def test_a_fit_reports_the_gain_everywhere(fitted: Path) -> None:
    results = json.loads((fitted / "results.json").read_text())
    tabular = results["tabular"]
    assert tabular["used"]
    assert [c["empty"] for c in tabular["columns"]] == [4, 0]
    assert tabular["gain"]["difference"]["low"] > 0
    assert results["chosen"]["tabular"] == ["age", "sex"]
    assert "tabular" not in results["candidates"][0]
    page = (fitted / "report.html").read_text()
    assert "Columns beside the embedding" in page
    assert "numbers, 3" in page
    card = (fitted / "model" / "README.md").read_text()
    assert "Other columns beside the embedding: age: numbers" in card
    assert "PHOTOS.csv is a table with the columns path, age, sex." in card
    model = json.loads((fitted / "model" / "model.json").read_text())
    assert model["format_version"] == 4
    assert model["tabular"][1]["categories"] == ["F", "M"]


def test_score_reads_the_same_columns(
    featx: Featx, workspace: Path, fitted: Path, manifest: Path
) -> None:
    rows = csv_rows(manifest)
    rows[0]["age"], rows[1]["age"], rows[2]["sex"], rows[3]["age"] = "", "old", "X", "200"
    new = manifest.with_name("new.csv")
    write(new, rows)
    done = featx(
        "score", str(fitted), str(new), "-o", "aged_s.csv", "--overwrite", "--proba", "--json"
    )
    assert done.code == 0, done.err
    columns = json.loads(done.out)["columns"]
    assert columns["age"] == {"kind": "number", "empty": 5, "unknown": {"old": 1}, "outside": 1}
    assert columns["sex"]["unknown"] == {"X": 1}
    proba = np.array([float(row["p_a"]) for row in csv_rows(workspace / "aged_s.csv")])
    run = package.load_run(fitted)
    cells = {name: [row[name] for row in rows] for name in ("age", "sex")}
    paths = [str(manifest.parent / row["path"]) for row in rows]
    own = run.model.predict_images(paths, tabular=cells)
    np.testing.assert_allclose(own.probabilities[:, 0], proba, atol=1e-5)
    said = featx("score", str(fitted), str(new), "-o", "aged_s.csv", "--overwrite")
    assert "Column age: 5 cells of 40 are empty and imputed." in said.out
    assert "hold" in said.out
    assert "'X'" in said.out
    only = manifest.with_name("aged_one.csv")
    write(only, [{"path": "0.png", "age": "", "sex": ""}])
    done = featx("score", str(fitted), str(only), "-o", "one-scores.csv", "--overwrite")
    assert done.code == 0, done.err
    assert "Column age: 1 cell of 1 is empty and imputed." in done.out


def test_a_missing_column_is_named(featx: Featx, fitted: Path, manifest: Path) -> None:
    without = manifest.with_name("without.csv")
    write(without, [{k: row[k] for k in ("path", "label")} for row in csv_rows(manifest)])
    for command in (("score", "-o", "aged_x.csv"), ("evaluate", "--name", "x")):
        done = featx(command[0], str(fitted), str(without), *command[1:])
        assert done.code == 2
        assert "also takes 2 columns: age (a number), sex (one of F, M)" in done.err
        assert "It has: path, label." in done.err
    done = featx("score", str(fitted), str(manifest.parent), "-o", "aged_x.csv")
    assert done.code == 2
    assert "The model takes the column age (a number)" in done.err


def test_evaluate_export_and_finetune(featx: Featx, fitted: Path, manifest: Path) -> None:
    done = featx("evaluate", str(fitted), str(manifest), "--name", "e", "--overwrite",
                 "--no-report", "--by", "sex")  # fmt: skip
    assert done.code == 0, done.err
    assert "4 cells of 40 are empty and imputed" in done.err
    table = (fitted.parent / "e" / "predictions.csv").read_text().splitlines()[0]
    assert "by_sex" in table
    assert "by_age" not in table
    done = featx("export", str(fitted), "-o", "m.onnx", "--images", str(manifest))
    assert done.code == 1
    assert "This model takes other columns too: age (a number)" in done.err
    done = featx("finetune", str(manifest), "--from", str(fitted), "--name", "t")
    assert done.code == 2
    assert "fitted on other columns too (age, sex)" in done.err


def test_what_cannot_be_fitted_on_is_refused_before_anything_is_read(
    featx: Featx, manifest: Path
) -> None:
    rows = csv_rows(manifest)
    rows[7]["age"] = "old"
    wrong = manifest.with_name("aged_wrong.csv")
    write(wrong, rows)
    done = featx("fit", str(wrong), *BACKBONE, "--tabular", "age")
    assert done.code == 1
    assert "'old' in the row of 7.png" in done.err
    assert "--tabular age:category" in done.err
    for flag, message in [
        ("label", "the label itself"),
        ("split", "--tabular split"),
        ("agee", "age"),
    ]:
        done = featx("fit", str(manifest), *BACKBONE, "--tabular", flag)
        assert done.code == 2
        assert message in done.err
    done = featx("fit", str(manifest), *BACKBONE, "--tabular", "age", "--tabular", "age:number")
    assert done.code == 2
    assert "twice" in done.err
    done = featx("fit", "photos", *BACKBONE, "--tabular", "age")
    assert done.code == 2
    assert "--tabular age: 'photos' is not a manifest file" in done.err


def test_a_file_of_arrays_has_columns_too(featx: Featx, workspace: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(40):
        numbers = {f"f{k}": f"{rng.normal():.3f}" for k in range(4)}
        rows.append(numbers | {"label": "ab"[i % 2], "depth": f"{i % 2 + rng.normal() / 5:.2f}",
                               "site": "NS"[i % 2] if i else ""})  # fmt: skip
    write(workspace / "rows.csv", rows)
    flags = ["--tabular", "depth", "--tabular", "site", "--name", "rows", "--no-report"]
    done = featx("fit", "rows.csv", *FIT, *flags)
    assert done.code == 0, done.err
    assert "Column site alone predicts the class" in done.out
    model = package.load_model(workspace / "runs" / "rows")
    assert model.n_features == 4
    done = featx("score", "runs/rows", "rows.csv", "-o", "aged_r.csv", "--overwrite")
    assert done.code == 0, done.err
    scored = [row["prediction"] for row in csv_rows(workspace / "aged_r.csv")]
    X = np.array([[float(row[f"f{k}"]) for k in range(4)] for row in rows], np.float32)
    cells = {name: [row[name] for row in rows] for name in ("depth", "site")}
    assert scored == model.predict(X, tabular=cells).tolist()
    write(workspace / "bare.csv", [{k: v for k, v in row.items() if k != "site"} for row in rows])
    done = featx("score", "runs/rows", "bare.csv", "-o", "aged_r.csv", "--overwrite")
    assert done.code == 2
    assert "site (one of N, S)" in done.err
