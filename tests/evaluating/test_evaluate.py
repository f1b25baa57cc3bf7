"""A finished model on other images: the estimate of the fit, copies, classes, groups, compare."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import featx
from featx.errors import (
    AlarmError,
    ComparisonError,
    DatasetError,
    ModelError,
    RunError,
    UnknownNameError,
    UsageError,
)
from featx.evaluating.shipped import against_shipped
from featx.runs import Run
from featx.runs.estimates import Interval
from featx.runs.thresholds import run_with_threshold
from tests.lab import NUMERICS, Featx, in_folder

COLOURS = {"blue": (105, 105, 125), "green": (105, 125, 105), "red": (125, 105, 105)}
OPTIONS: dict[str, Any] = {"report": False, "overwrite": True, **NUMERICS}


def write(path: Path, colour: tuple[int, ...], seed: int, noise: int = 130) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.array(colour) + np.random.default_rng(seed).normal(0, noise, (12, 12, 3))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``photos`` with a training and a test split of three colours that are hard to tell."""
    root = tmp_path_factory.mktemp("evaluating")
    for i, (label, colour) in enumerate(COLOURS.items()):
        for k in range(20):
            write(root / "photos" / "train" / label / f"{k}.png", colour, 1000 * i + k)
        for k in range(12):
            write(root / "photos" / "test" / label / f"{k}.png", colour, 1000 * i + 500 + k)
    return root


@pytest.fixture(scope="module")
def fitted(place: Path) -> Run:
    return featx.fit(
        place / "photos", runs=place / "runs", name="fit", cv=3, seed=3, head="logreg",
        cache=place / "cache", **OPTIONS,
    )  # fmt: skip


@pytest.fixture
def evaluated(place: Path, fitted: Run) -> Any:
    def run(data: Path, name: str = "ev", model: Any = None, **options: Any) -> Run:
        more = {"runs": place / "runs", "cache": place / "cache", "name": name, **OPTIONS}
        return featx.evaluate(fitted if model is None else model, data, **more | options)

    return run


def near(found: Any, expected: Any) -> None:
    """Equal, but for the last bits of probabilities."""
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(expected)) or (
        _flat(found) == pytest.approx(_flat(expected), abs=1e-6, nan_ok=True)
    )


def _flat(value: Any, at: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key in value for k, v in _flat(value[key], f"{at}.{key}").items()}
    return {at: float("nan") if value is None else value}


@pytest.mark.parametrize("split", [None, "test"])
def test_on_the_test_split_it_is_the_estimate_of_the_fit(
    place: Path, fitted: Run, evaluated: Any, split: str | None
) -> None:
    data = place / "photos" if split else place / "photos" / "test"
    run = evaluated(data, split=split)
    expected, found = fitted.results["estimate"], run.results["estimate"]
    assert 0.4 < expected["metrics"]["accuracy"]["value"] < 1
    for key in ("metrics", "per_class", "calibration", "confusion_matrix", "interval", "n_units"):
        near(found.document()[key], expected.document()[key])
    sets = ("covered", "abstained", "accuracy_of_the_others", "mean_size", "covered_by_class")
    for key in sets:
        near(dict(run.results["trust"]["prediction_sets"].document())[key],
             fitted.results["trust"]["prediction_sets"].document()[key])  # fmt: skip
    evaluation = run.results.evaluation
    assert evaluation is not None
    assert {row.place for row in evaluation.against_shipped.values()} == {"inside"}
    assert (evaluation.copies.images, evaluation.copies.known) == (0, True)
    table, before = run.predictions["evaluated"], fitted.predictions["test"]
    np.testing.assert_array_equal(table.y_pred, before.y_pred)
    again = featx.load_run(run.folder)
    assert again.results.document() == run.results.document()
    assert list(again.levels) == ["evaluated"]
    assert again.section == "evaluate"


def test_copies_of_training_images_are_left_out_and_reported(
    place: Path, fitted: Run, evaluated: Any
) -> None:
    run = evaluated(place / "photos")
    near(run.results["estimate"].document()["metrics"],
         fitted.results["estimate"].document()["metrics"])  # fmt: skip
    assert run.results.evaluation.copies.images == 60
    assert len(run.predictions["copies"]) == 60
    estimates = run.results["estimates"]
    n = {name: estimates[name]["n_images"] for name in ("copies", "with_copies")}
    assert n == {"copies": 60, "with_copies": 96}
    y = run.predictions["copies"]
    right = float((y.y == y.y_pred).mean())
    assert estimates["copies"]["metrics"]["accuracy"]["value"] == pytest.approx(right)
    assert any("60 images are copies" in note for note in run.results.notes)
    only = evaluated(place / "photos" / "train")
    assert only.results["estimate"]["method"] == "copies"
    assert set(only.levels) == {"copies"}
    assert only.results.evaluation.against_shipped == {}


def test_the_same_pixels_in_another_file_are_a_copy(
    place: Path, fitted: Run, evaluated: Any, tmp_path: Path
) -> None:
    for k in range(3):
        source = place / "photos" / "train" / "red" / f"{k}.png"
        (tmp_path / "new" / "red").mkdir(parents=True, exist_ok=True)
        Image.open(source).save(tmp_path / "new" / "red" / f"{k}.bmp")
    shutil.copytree(place / "photos" / "test" / "blue", tmp_path / "new" / "blue")
    run = evaluated(tmp_path / "new")
    assert run.results.evaluation.copies.images == 3
    assert run.results.evaluation.classes_without_images == ["green"]
    older = replace(featx.load_model(fitted.folder), seen=None)
    run = evaluated(tmp_path / "new", model=older)
    copies = run.results.evaluation.copies
    assert (copies.known, copies.images, copies.untold) == (False, 0, 15)
    assert run.results["estimate"]["n_images"] == 15


@pytest.fixture
def other(place: Path, tmp_path: Path) -> Path:
    """The test images, with a class that the model does not know."""
    shutil.copytree(place / "photos" / "test", tmp_path / "other")
    for k in range(8):
        write(tmp_path / "other" / "grey" / f"{k}.png", (110, 110, 110), 9000 + k)
    (tmp_path / "other" / "red" / "broken.png").write_bytes(b"no image")
    return tmp_path / "other"


def test_images_of_a_class_that_is_not_known_count_as_wrong(
    fitted: Run, evaluated: Any, other: Path
) -> None:
    run = evaluated(other, "unknown")
    assert run.classes == ["blue", "green", "grey", "red"]
    assert run.results.evaluation.unknown_classes == {"grey": 8}
    before = fitted.results["estimate"]["metrics"]["accuracy"]["value"]
    metrics = run.results["estimate"]["metrics"]
    assert metrics["accuracy"]["value"] == pytest.approx(before * 36 / 44)
    assert run.results["estimate"]["per_class"]["grey"]["recall"]["value"] == 0
    known = run.results["estimates"]["known_classes"].document()
    near(known["metrics"], fitted.results["estimate"].document()["metrics"])
    assert run.results.evaluation.against_shipped["accuracy"].here.value == pytest.approx(before)
    assert run.results["dataset"]["quarantined"] == 1
    assert [failure.id for failure in run.failures] == ["red/broken.png"]
    assert (run.folder / "failures.csv").read_text().count("broken.png") == 2


def test_no_class_in_common(evaluated: Any, tmp_path: Path) -> None:
    for k in range(12):
        write(tmp_path / "new" / "grey" / f"{k}.png", (110, 110, 110), k)
    run = evaluated(tmp_path / "new")
    assert run.results["estimate"]["metrics"]["accuracy"]["value"] == 0
    assert run.results.evaluation.against_shipped == {}
    assert "known_classes" not in run.results["estimates"]


def test_groups_are_drawn_together(place: Path, evaluated: Any, tmp_path: Path) -> None:
    rows = [
        (f"test/{label}/{k}.png", label, f"{label}-{k // 3}")
        for label in COLOURS
        for k in range(12)
    ]
    with (tmp_path / "m.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "colour", "patient"), *rows])
    run = evaluated(
        tmp_path / "m.csv", root=str(place / "photos"), path_column="file",
        label_column="colour", group_column="patient",
    )  # fmt: skip
    estimate = run.results["estimate"]
    assert (estimate["n_groups"], estimate["n_units"]) == (12, 12)
    assert estimate["by_group"]["n_predicted_groups"] == 12


def test_two_models_are_compared_on_images_that_neither_was_fitted_on(
    place: Path, evaluated: Any, other: Path
) -> None:
    """The second is fitted on six of the images, and knows the fourth class and not the first."""
    second = place / "second"
    shutil.rmtree(second, ignore_errors=True)
    shutil.copytree(place / "photos" / "train", second)
    shutil.rmtree(second / "blue")
    for k in range(6):
        shutil.copy(place / "photos" / "test" / "red" / f"{k}.png", second / "red" / f"t{k}.png")
    for k in range(20):
        write(second / "grey" / f"{k}.png", (110, 110, 110), 5000 + k)
    fit = featx.fit(second, runs=place / "runs", name="second", cv=3, estimate="cv", head="lda",
                    cache=place / "cache", **OPTIONS)  # fmt: skip
    one, two = evaluated(other, "one"), evaluated(other, "two", model=fit)
    assert two.results.evaluation.copies.images == 6
    comparison = featx.compare(one, two, metric="accuracy")
    judged = comparison.document["judged"]
    assert (judged["level"], judged["n_images"]) == ("evaluated", 44 - 6)
    assert any("6 images left out" in note for note in comparison.document["notes"])
    keep = [i for i, name in enumerate(one.predictions["evaluated"].ids)
            if name not in set(two.predictions["copies"].ids)]  # fmt: skip
    first = one.predictions["evaluated"].take(np.array(keep))
    [a, b] = (run["metrics"]["accuracy"]["value"] for run in comparison.document["runs"])
    assert a == pytest.approx(float((first.y == first.y_pred).mean()))
    part = two.predictions["evaluated"]
    assert b == pytest.approx(float((part.y == part.y_pred).mean()))
    assert sorted(two.classes) == sorted({*one.classes})
    with pytest.raises(ComparisonError, match="is an evaluation of a finished model"):
        featx.compare(one, fit)


def counts(run: Run, name: str, cutoff: float) -> tuple[float, float]:
    """Recall and false alarms of a class by its cutoff, from the predictions."""
    table, column = run.predictions["evaluated"], run.classes.index(name)
    own, called = table.y == column, table.proba[:, column] >= cutoff
    return float(called[own].mean()), 1000 * float((called & ~own).mean())


@pytest.mark.parametrize("prevalence", [None, 0.05])
def test_a_threshold_is_chosen_by_the_training_images_and_counted_on_these(
    fitted: Run, evaluated: Any, other: Path, prevalence: float | None
) -> None:
    text = "red:recall=0.9"
    run = evaluated(other, "at", threshold=text, prevalence=prevalence)
    decided, operating = run.results.trust.decision, run.results.operating
    expected = run_with_threshold(featx.load_run(fitted.folder), text)
    assert decided == operating.in_force
    assert decided.cutoff == expected.results.operating.in_force.cutoff
    recall, alarms = counts(run, "red", decided.cutoff)
    assert decided.recall.value == pytest.approx(recall)
    assert decided.prevalence == prevalence
    if prevalence is None:
        assert decided.false_alarms.value == pytest.approx(alarms)
    table = run.predictions["evaluated"]
    column = run.classes.index("red")
    called = table.proba[:, column] >= decided.cutoff
    np.testing.assert_array_equal(table.y_pred == column, called)
    for point in operating.classes["blue"].points[1:]:
        assert point.recall.value == pytest.approx(counts(run, "blue", point.cutoff)[0])
    assert set(operating.classes) == set(COLOURS)  # the model has no cutoffs of grey
    evaluation = run.results.evaluation
    assert evaluation.shipped.metrics == expected.results.estimate.metrics
    assert evaluation.shipped_decision.recall == expected.results.operating.in_force.recall
    assert featx.load_run(run.folder).config.evaluate.threshold == text


def test_thresholds_of_models_alone_and_of_earlier_versions(
    place: Path, fitted: Run, evaluated: Any
) -> None:
    test, model = place / "photos" / "test", featx.load_model(fitted.folder)
    run = evaluated(test, model=model, threshold="red:cutoff=0.3")
    assert run.results.trust.decision.cutoff == 0.3
    against = run.results.evaluation.against_shipped
    assert "log_loss" in against
    assert "accuracy" not in against  # it was shipped with that of the likeliest class
    older = replace(model, operating=None)
    run = evaluated(test, model=older, threshold="red:cutoff=0.3")
    assert run.results.operating.in_force.cutoff == 0.3
    assert run.results.operating.classes == {}
    assert evaluated(test, model=older).results.operating is None
    with pytest.raises(ModelError, match="out-of-fold predictions"):
        evaluated(test, model=older, threshold="red:recall=0.9")
    with pytest.raises(UnknownNameError, match="pink"):
        evaluated(test, threshold="pink:recall=0.9")
    with pytest.raises(RunError, match="is an evaluation"):
        featx.report(evaluated(test).folder, threshold="red:recall=0.9")


def test_the_page_and_the_console_name_the_threshold(
    command: Featx, fitted: Run, place: Path
) -> None:
    done = command("evaluate", "runs/fit", "photos/test", "--name", "page", "--overwrite",
                   "--report", "--threshold", "red:recall=0.9")  # fmt: skip
    assert done.code == 0, done.err
    assert "The number to read: recall of red" in done.out
    assert "On the training images" in done.out
    page = (place / "runs" / "page" / "report.html").read_text("utf-8")
    assert "recall of red [95 % interval]" in page
    assert "Threshold in force: red is predicted from" in page
    assert "red was predicted from a probability of" in page  # in the methods
    assert "(the number to read)" not in page  # which is that recall


def test_corrections_are_applied(place: Path, evaluated: Any, tmp_path: Path) -> None:
    rows = [("test/red/0.png", "relabel", "blue"), ("test/red/1.png", "exclude", "")]
    with (tmp_path / "corrections.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "decision", "value"), *rows])
    run = evaluated(place / "photos", split="test", labels=[str(tmp_path / "corrections.csv")])
    assert run.results["estimate"]["n_images"] == 35
    table = run.predictions["evaluated"]
    [row] = [i for i, name in enumerate(table.ids) if name == "test/red/0.png"]
    assert run.classes[table.y[row]] == "blue"
    assert len(run.results["dataset"]["corrections"]["changes"]) == 2


@pytest.mark.parametrize(
    ("here", "shipped", "place", "worse"),
    [
        ((0.80, 0.75, 0.85), (0.82, 0.78, 0.86), "inside", False),
        ((0.76, 0.66, 0.86), (0.82, 0.78, 0.86), "below", False),
        ((0.50, 0.45, 0.55), (0.82, 0.78, 0.86), "below", True),
        ((0.99, 0.98, 1.00), (0.82, 0.78, 0.86), "above", False),
        ((0.50, None, None), (0.82, 0.78, 0.86), "below", False),
        ((0.50, 0.45, 0.55), (0.82, None, None), "unknown", False),
    ],
)
def test_places_beside_the_shipped_interval(
    here: tuple[float, ...], shipped: tuple[float, ...], place: str, worse: bool
) -> None:
    names = ("value", "low", "high")
    a, b = (Interval(**dict(zip(names, row, strict=True))) for row in (here, shipped))
    row = against_shipped({"accuracy": a}, {"accuracy": b})["accuracy"]
    assert (row.place, row.worse) == (place, worse)
    lower = against_shipped({"log_loss": a}, {"log_loss": b})["log_loss"]
    assert lower.worse == (place == "above")
    if row.difference is not None:
        half = (row.difference.high or 0) - (row.difference.value or 0)
        assert half == pytest.approx(np.hypot(here[2] - here[0], shipped[0] - shipped[1]))


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
            place: Path) -> Featx:  # fmt: skip
    return in_folder(place, capfd, monkeypatch)


def test_the_command_line(command: Featx, fitted: Run, other: Path, place: Path) -> None:
    shown = ("evaluate", "runs/fit", other, "--name", "cl", "--overwrite", "--report")
    done = command(*shown)
    assert done.code == 0, done.err
    for sentence in (
        "The model was shipped with balanced accuracy",
        "over the 3 classes that both have, it is",
        "inside that interval",
        "8 images are of 1 class that the model does not know ('grey') and cannot be right",
        "The number to read: balanced accuracy",
        "Page: runs/cl/report.html",
        "Scores: runs/cl/predictions.csv",
    ):
        assert sentence in done.out
    verdict = [line for line in done.out.splitlines() if line.startswith("→ ")]
    assert 3 <= len(verdict) <= 6
    assert "Next: featx score runs/fit NEW_IMAGES" in done.err
    page = (place / "runs" / "cl" / "report.html").read_text("utf-8")
    for words in (
        "Beside the estimate that the model was shipped with",
        "known classes",
        "1 class is unknown",
        "1 of 45 files cannot be read (2.2 %; of the training images 0.0 %).",
        "None of the images is a copy of a training image.",
    ):
        assert words in page
    assert "no other kind of classifier" not in page  # nothing was tried here
    tables = command(*shown[:-1], "--no-report", "-v")
    assert "1 of 45 files cannot be read" in tables.out
    assert "finds nearest" not in page  # there are no training images to show
    assert command("report", "runs/cl").code == 0
    done = command(*shown, "--strict", "--no-report", "--json")
    assert done.code == 3
    assert json.loads(done.out)["evaluation"]["unknown_classes"] == {"grey": 8}
    done = command(*shown, "--fail-on", "quarantined=0.01", "-q")
    assert done.code == 4
    assert (place / "runs" / "cl" / "results.json").exists()
    again = command("run", "runs/cl/config.yaml", "--set", "evaluate.overwrite=true",
                    "--set", "evaluate.fail_on=null", "-q")  # fmt: skip
    assert again.code == 0, again.err
    assert again.out == ""


def test_what_is_refused(command: Featx, fitted: Run, place: Path, evaluated: Any,
                         tmp_path: Path) -> None:  # fmt: skip
    test = place / "photos" / "test"
    for arguments, code, message in (
        (("absent", test), 2, "The model absent does not exist"),
        (("runs/fit", test, "--name", "fit"), 2, "exists"),
        (("runs/fit", test, "--split", "val"), 1, "No image of"),
        (("runs/fit", test, "--backbone", "x"), 2, "No such option"),
        (("runs/fit", test, "--fail-on", "nothing"), 2, "is not one of drift"),
    ):
        done = command("evaluate", *arguments)
        assert (done.code, message in done.err) == (code, True), done.err
    flat = write(tmp_path / "flat" / "a.png", (1, 2, 3), 0).parent
    assert command("evaluate", "runs/fit", flat).code == 1
    (tmp_path / "bad" / "red").mkdir(parents=True)
    (tmp_path / "bad" / "red" / "x.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match="could be read"):
        evaluated(tmp_path / "bad")
    with pytest.raises(UsageError, match="Unknown option"):
        evaluated(test, split="test", backbones="x")
    shutil.copytree(test, tmp_path / "more")
    (tmp_path / "more" / "red" / "x.png").write_bytes(b"no image")
    with pytest.raises(AlarmError, match="1 of 37 files cannot be read"):
        evaluated(tmp_path / "more", "alarm", fail_on="quarantined=0.02")
    assert (place / "runs" / "alarm" / "results.json").exists()
