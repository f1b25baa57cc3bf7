"""From real photographs to scored files with real ImageNet weights, through the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.lab import csv_rows, in_process

pytestmark = pytest.mark.slow


@pytest.fixture
def featx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> object:
    """Run a command in an empty folder; must succeed; returns stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEATX_CACHE", raising=False)

    command = in_process(capfd)

    def run(*arguments: object) -> tuple[str, str]:
        done = command(*arguments)
        assert done.code == 0, done.err
        return done.out, done.err

    return run


def squeezenet(weights: Path, size_px: int = 224) -> list[str]:
    name = ["--backbone", "torchvision:squeezenet1_0", "--weights", str(weights)]
    return [*name, "--size", str(size_px)] if size_px != 224 else name


def test_clothing_from_photographs_to_scores(
    featx, shared_data: Path, shared_weights: Path, tmp_path: Path
) -> None:
    clothing, backbone = shared_data / "clothing", squeezenet(shared_weights)
    _, err = featx("extract", clothing, *backbone)
    assert "3,781 images: 0 cached, 3,781 computed, 0 quarantined" in err
    _, err = featx("extract", clothing, *backbone)
    assert "3,781 cached, 0 computed" in err
    out, _ = featx("fit", clothing, *backbone, "--name", "r", "--seed", "0", "--json")
    metrics = json.loads(out)["estimate"]["metrics"]
    assert json.loads(out)["estimate"]["n_images"] == 372
    assert metrics["accuracy"]["value"] >= 0.80
    assert metrics["accuracy"]["low"] < metrics["accuracy"]["value"] < metrics["accuracy"]["high"]
    _, err = featx("score", "runs/r", clothing / "test", "-o", "scores.csv")
    assert "372 cached, 0 computed" in err
    rows = csv_rows(tmp_path / "scores.csv")
    right = sum(row["prediction"] == row["path"].split("/")[0] for row in rows)
    assert right / len(rows) == pytest.approx(metrics["accuracy"]["value"])


def test_a_class_of_three_is_handled_and_said(
    featx, shared_data: Path, shared_weights: Path
) -> None:
    flags = ["--sampler", "smote", "--class-weight", "balanced", "--name", "r", "--json"]
    out, _ = featx("fit", shared_data / "bccd.csv", *squeezenet(shared_weights, 96), *flags)
    document = json.loads(out)
    assert document["dataset"]["classes"]["Basophil"] == 3
    assert [(c["sampler"], c["class_weight"]) for c in document["candidates"]] == [
        ("none", "none"),
        ("smote", "none"),
        ("none", "balanced"),
        ("smote", "balanced"),
    ]
    assert all(c["status"] == "ok" for c in document["candidates"])
    assert document["estimate"]["per_class"]["Basophil"]["support"] == 3
    assert document["estimate"]["metrics"]["balanced_accuracy"]["value"] > 0.4


def test_patients_make_the_estimate_differ(
    featx, shared_data: Path, shared_weights: Path, tmp_path: Path
) -> None:
    rows = csv_rows(shared_data / "malaria.csv")[::6]
    with (tmp_path / "some.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group"])
        writer.writeheader()
        writer.writerows(rows)
    backbone = squeezenet(shared_weights, 64)
    out, err = featx("fit", "some.csv", "--root", shared_data, *backbone, "--name", "r", "--json")
    document = json.loads(out)
    assert document["estimate"]["n_groups"] == len({row["group"] for row in rows})
    assert "groups" in document["estimate"]["interval"]
    grouped = document["estimate"]["metrics"]["balanced_accuracy"]
    [ungrouped] = [
        e["metrics"]["balanced_accuracy"]
        for e in document["estimates"].values()
        if "groups ignored" in e["description"]
    ]
    assert grouped["value"] != ungrouped["value"]
    # Cells of one patient resemble each other: an interval over cells promises too much.
    assert grouped["high"] - grouped["low"] > ungrouped["high"] - ungrouped["low"]
    assert "groups ignored" in err


def test_many_classes_with_a_long_tail(
    featx, shared_data: Path, shared_weights: Path, tmp_path: Path
) -> None:
    for folder in sorted((shared_data / "plankton").iterdir()):
        if folder.is_dir():
            target = tmp_path / "plankton" / folder.name
            target.mkdir(parents=True)
            for image in sorted(folder.iterdir())[:12]:
                (target / image.name).symlink_to(image)
    grid = "{logreg: {C: [0.1]}}"
    flags = ["--name", "r", "--cv", "3", "--param-grid", grid, "--json"]
    out, _ = featx("fit", "plankton", *squeezenet(shared_weights, 64), *flags)
    document = json.loads(out)
    assert len(document["classes"]) == 121
    assert document["estimate"]["metrics"]["balanced_accuracy"]["low"] > 1 / 121


def test_an_evaluation_on_the_test_split_is_the_estimate_of_the_fit(
    featx, shared_data: Path, tmp_path: Path
) -> None:
    clothing = shared_data / "clothing"
    mini = ["--backbone", "featx:mini-v1", "--no-report", "--head", "logreg"]
    out, _ = featx("fit", clothing, *mini, "--name", "fit", "--json")
    expected = json.loads(out)["estimate"]
    for data in (clothing / "test", clothing):  # of all images the training images are left out
        out, _ = featx("evaluate", "runs/fit", data, "--name", data.name, "--no-report", "--json")
        found = json.loads(out)
        assert found["estimate"]["confusion_matrix"] == expected["confusion_matrix"]
        assert found["estimate"]["per_class"].keys() == expected["per_class"].keys()
        for name, row in expected["metrics"].items():
            assert found["estimate"]["metrics"][name] == pytest.approx(row, abs=1e-6)
    assert found["evaluation"]["copies"]["images"] == 3409
    some = tmp_path / "plankton"
    for folder in sorted((shared_data / "plankton").iterdir())[:5]:
        (some / folder.name).mkdir(parents=True)
        for path in sorted(folder.glob("*.jpg"))[:12]:
            (some / folder.name / path.name).write_bytes(path.read_bytes())
    out, err = featx("evaluate", "runs/fit", some, "--name", "p", "--no-report")
    assert "of the images are out of distribution, of held-out training images" in err
    assert "of 5 classes that the model does not know" in " ".join(out.split())
