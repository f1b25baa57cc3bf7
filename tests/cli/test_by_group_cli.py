"""``--by-group`` from the command line: rows, files, refusals, and the same in Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import featx as package
from featx.errors import UsageError
from tests.cli.conftest import BACKBONE, Featx, paint
from tests.lab import csv_rows

COLOURS = {"red": (200, 40, 30), "blue": (30, 40, 200)}


@pytest.fixture(scope="module")
def patients(workspace: Path) -> Path:
    """Twelve patients with four images each; three new ones, some of whose files are broken."""
    rng, root = np.random.default_rng(0), workspace / "patients"
    lines = ["path,label,patient"]
    for p in range(12):
        label = list(COLOURS)[p % 2]
        for i in range(4):
            paint(root / f"p{p}_{i}.png", COLOURS[label], rng)
            lines.append(f"p{p}_{i}.png,{label},p{p}")
    (root / "m.csv").write_text("\n".join(lines) + "\n")
    for name, label in (("x1", "red"), ("x2", "blue")):
        for i in range(3):
            paint(root / "new" / f"{name}_{i}.png", COLOURS[label], rng)
    for name in ("x2_3", "x3_0", "x3_1"):
        (root / "new" / f"{name}.png").write_bytes(b"no image")
    paint(root / "new" / "alone.png", COLOURS["red"], rng)
    return root


@pytest.fixture
def fitted(featx: Featx, patients: Path, workspace: Path) -> Path:
    folder = workspace / "runs" / "patients"
    if not folder.exists():
        done = featx("fit", str(patients / "m.csv"), *BACKBONE, "--head", "lda", "--cv", "3",
                     "--name", "patients", "--no-report")  # fmt: skip
        assert done.code == 0, done.err
        assert "By group: balanced accuracy 1.000" in done.out
        assert "12 groups, by the mean probabilities of their images" in done.out
    return folder


def table(path: Path) -> dict[str, dict[str, str]]:
    rows = csv_rows(path)
    return {row["group"]: row for row in rows}


def test_every_group_has_a_row_that_its_images_explain(
    featx: Featx, fitted: Path, patients: Path
) -> None:
    flags = ["--proba", "-o", "by_s.csv", "--report", "by_s.html", "--overwrite", "--json"]
    new = str(patients / "new")
    done = featx("score", str(fitted), new, "--by-group", "([a-z]+[0-9])_", *flags)
    assert done.code == 0, done.err
    rows = table(Path("by_s_groups.csv"))
    assert list(rows) == ["alone.png", "x1", "x2", "x3"]
    images = csv_rows(Path("by_s.csv"))
    for name in ("alone.png", "x1", "x2"):
        own = [r for r in images if r["path"].startswith(name) and not r["error"]]
        for label in COLOURS:
            mean = np.mean([float(r[f"p_{label}"]) for r in own])
            assert float(rows[name][f"p_{label}"]) == pytest.approx(mean, abs=1e-12)
        share = np.mean([r["ood"] == "True" for r in own])
        assert float(rows[name]["ood_share"]) == pytest.approx(share)
        assert rows[name]["prediction"] in rows[name]["prediction_set"].split("|")
    assert [(r["n_images"], r["n_unreadable"]) for r in rows.values()] == [
        ("1", "0"), ("3", "0"), ("4", "1"), ("2", "2"),
    ]  # fmt: skip
    assert (rows["x1"]["prediction"], rows["x2"]["prediction"]) == ("red", "blue")
    assert rows["x3"]["prediction"] == ""
    assert rows["x3"]["error"].startswith("none of 2 images could be read: ")
    document = json.loads(done.out)["groups"]
    assert (document["groups"], document["predicted"], document["incomplete"]) == (4, 3, 2)
    page = Path("by_s.html").read_text()
    assert "By group: 3 of 4 groups predicted, by the mean probabilities of their images" in page
    assert "no image could be read" in page


def test_the_same_from_a_column_and_in_python(featx: Featx, fitted: Path, patients: Path) -> None:
    manifest = str(patients / "m.csv")
    done = featx("score", str(fitted), manifest, "-o", "by_c.csv", "--group-answer", "max:red",
                 "--overwrite", "--by-group")  # fmt: skip
    assert done.code == 0, done.err
    assert "by the image that is likeliest 'red'" in done.out
    assert "Groups: by_c_groups.csv" in done.out
    scores = package.score(fitted, manifest, by_group="patient", group_answer="max:red")
    assert scores.groups is not None
    rows = table(Path("by_c_groups.csv"))
    assert scores.groups.ids == list(rows) == [f"p{p}" for p in range(12)]
    assert scores.groups.columns == list(next(iter(rows.values())))
    red = scores.classes.index("red")
    largest = scores.probabilities[:, red].reshape(12, 4).max(axis=1)
    assert scores.groups.probabilities[:, red] == pytest.approx(largest)
    model = package.load_model(fitted)
    X = np.zeros((3, model.n_features), np.float32)
    found = model.predict_groups(X, ["a", "b", "a"], way="vote")
    assert (found.names, found.n_images.tolist(), found.way) == (["a", "b"], [2, 1], "vote")
    assert package.score(fitted, manifest, by_group=True).groups is not None
    assert package.score(fitted, manifest).groups is None


def test_evaluate_writes_the_groups_beside_their_classes(
    featx: Featx, fitted: Path, patients: Path, workspace: Path
) -> None:
    lines = ["path,label,patient"]
    lines += [f"new/x1_{i}.png,red,x1" for i in range(3)]
    lines += [f"new/x2_{i}.png,{'blue' if i else 'red'},x2" for i in range(4)]
    lines += [f"new/x3_{i}.png,red,x3" for i in range(2)] + ["new/alone.png,green,alone"]
    manifest = patients / "later.csv"
    manifest.write_text("\n".join(lines) + "\n")
    done = featx("evaluate", str(fitted), str(manifest), "--by-group", "patient", "--name", "later",
                 "--overwrite", "--no-report")  # fmt: skip
    assert done.code == 0, done.err
    assert "Groups: runs/later/groups.csv" in done.out
    rows = table(workspace / "runs/later/groups.csv")
    assert [(k, r["y_true"], r["prediction"]) for k, r in rows.items()] == [
        ("x1", "red", "red"), ("x2", "", "blue"), ("x3", "red", ""), ("alone", "green", "red"),
    ]  # fmt: skip
    results = json.loads((workspace / "runs/later/results.json").read_text())
    by_group = results["estimate"]["by_group"]
    assert by_group["n_predicted_groups"] == 2  # of x1 and alone; the class of alone is unknown
    assert by_group["groups_of_several_classes"] == 1
    assert by_group["metrics"]["accuracy"]["value"] == 0.5
    assert by_group["prediction_sets"]["covered"]["value"] == 0.5
    assert "1 of 3 groups has images of several classes" in done.err


def test_what_names_no_groups_is_refused_before_any_work(
    featx: Featx, fitted: Path, patients: Path
) -> None:
    new, run = str(patients / "new"), str(fitted)
    for given, message in {
        ("--by-group",): "names no groups",
        ("--by-group", "patient"): "is not a manifest file",
        ("--by-group", "name:x"): "no whole number",
        ("--by-group", "(zzz)"): "finds no group",
        ("--by-group", "name:0", "--group-answer", "max:green"): "green",
        ("--group-answer", "vote"): "no effect without --by-group",
    }.items():
        done = featx("score", run, new, *given, "-o", "no.csv")
        assert (done.code, message in done.err) == (2, True), (given, done.err)
        assert not Path("no.csv").exists()
    swallowed = featx("score", "--by-group", run, new)
    assert swallowed.code == 2
    assert "--by-group took" in swallowed.err
    with pytest.raises(UsageError, match="names no groups"):
        package.score(fitted, np.zeros((2, package.load_model(fitted).n_features)), by_group=True)


def test_a_model_without_groups_says_what_its_rows_lack(
    featx: Featx, run_folder: Path, patients: Path
) -> None:
    done = featx("score", str(run_folder), str(patients / "new"), "--by-group", "name:0", "-o",
                 "old.csv", "--overwrite")  # fmt: skip
    assert done.code == 0, done.err
    assert "no prediction sets for groups" in done.err
    rows = table(Path("old_groups.csv"))
    assert "prediction_set" not in rows["x1"]
    assert float(rows["x1"]["probability"]) > 0
