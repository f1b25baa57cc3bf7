"""``featx finetune --learning-curve``: what is trained on, what judges, and what is said of it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finetune_lab import COLOURS, paint

import featx
from featx import finetuning
from featx.config import FinetuneConfig
from featx.data.splits import make_folds
from featx.finetuning import learning
from featx.finetuning.guard import PairedChange
from featx.finetuning.learning import SizeChange, _verdict, plan_trainings
from featx.finetuning.training import TrainingLoop
from featx.fitting.data import Part
from featx.stats.comparison import PairedTest
from tests.lab import NETWORK, TUNING, flags, in_process

ASKED = FinetuneConfig(learning_curve=True)


def grouped(n_groups: int, images: int) -> Part:
    """Images in groups, each group of one class; every tenth of a third class."""
    groups = np.repeat(np.arange(n_groups), images)
    y = np.where(groups % 10 == 0, 2, groups % 2)
    hashes = np.zeros((len(y), 32), np.uint8)
    hashes[:, 0], hashes[:, 1] = np.arange(len(y)) % 256, np.arange(len(y)) // 256
    ids = [str(i) for i in range(len(y))]
    return Part({}, y, ["a", "b", "c"], ids, hashes, np.arange(len(y)), groups)


@pytest.mark.parametrize("judged_once", [True, False])
def test_parts_are_nested_and_keep_groups_and_classes(judged_once: bool) -> None:
    part = grouped(80, 4)
    folds = make_folds(part.y, part.components, part.classes, n_folds=4, seed=0)
    found = plan_trainings(part, folds, ASKED, judged_once=judged_once)
    assert found.sizes is not None
    trained = [*found.sizes, found.whole]
    assert [len(size) for size in trained] == [1 if judged_once else 4] * 4
    for k in range(len(found.whole)):
        each = [size[k] for size in trained]
        shares = [mask.sum() / each[-1].sum() for mask in each]
        np.testing.assert_allclose(shares, [0.125, 0.25, 0.5, 1], atol=0.05)
        for smaller, larger in pairwise(each):
            assert (larger | ~smaller).all()
        for mask in each:
            whole = [mask[part.components == c].mean() for c in np.unique(part.components)]
            assert set(whole) <= {0.0, 1.0}
            assert set(part.y[mask]) == {0, 1, 2}
            assert judged_once or not (mask & (folds.fold == k)).any()
    counts = [int(mask.sum()) for size in found.sizes for mask in size]
    whole = [320] if judged_once else [*(int(mask.sum()) for mask in found.whole), 320]
    assert found.n_images == [*whole, *counts]


def test_without_being_asked_for_nothing_more_is_trained() -> None:
    part = grouped(80, 4)
    folds = make_folds(part.y, part.components, part.classes, n_folds=4, seed=0)
    found = plan_trainings(part, folds, FinetuneConfig(), judged_once=True)
    assert found.sizes is None
    assert found.n_images == [320]


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ([(0.01, 0.2), (0.02, 0.2), (0.03, 0.2)], "pays from 125 training images on"),
        ([(-0.1, 0.2), (0.02, 0.2), (0.03, 0.2)], "pays from 250 training images on"),
        ([(0.01, 0.2), (-0.1, 0.2), (0.03, 0.2)], "pays with all 500 training images"),
        ([(0.01, 0.2), (0.01, 0.2), (-0.03, 0.2)], "may be luck: no number of images was found"),
        ([(0.01, 0.2), (0.01, 0.2), (-0.2, -0.1)], "lowers balanced accuracy by more than luck"),
        ([(0.1, 0.2)], "pays with all 125 training images: balanced accuracy rises by more than "
         "luck explains."),
    ],
)  # fmt: skip
def test_the_number_of_images_from_which_it_pays(
    intervals: list[tuple[float, float]], said: str
) -> None:
    points = [
        SizeChange(
            125 * 2**i,
            PairedChange("images", (1, 1), (0.5, 0.6), None, PairedTest(0.1, low, high, 0.5)),
        )
        for i, (low, high) in enumerate(intervals)
    ]
    assert said in _verdict(points, "balanced_accuracy")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """42 images to train on, and 9 of a test split."""
    root = tmp_path_factory.mktemp("learning")
    rng = np.random.default_rng(2)
    for c, colour in enumerate(COLOURS):
        for i in range(17):
            split = "train" if i < 14 else "test"
            paint(root / "split" / split / "abc"[c] / f"{i}.png", colour, rng)
    return root


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, set[str]]]:
    """Each training, and the images that it could read."""
    found: list[tuple[str, set[str]]] = []
    original = finetuning.train

    def record(task: Any, config: Any) -> Any:
        rows = sorted({*task.training, *task.validation})
        found.append((task.name, {task.bank.paths[i] for i in rows}))
        return original(task, config)

    monkeypatch.setattr(finetuning, "train", record)
    return found


def test_the_test_images_judge_every_size(
    photos: Path,
    seen: list[tuple[str, set[str]]],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photos)
    asked = [*flags(NETWORK), *flags(TUNING), "--epochs", "1", "--cache", "cache"]
    done = in_process(capfd)(
        "finetune", "split", *asked, "--learning-curve", "--report", "--name", "x"
    )
    assert done.code == 0, done.err
    assert "in 2 trainings: about " in done.err
    assert [(name, len(images)) for name, images in seen] == [("all images", 42), ("21 images", 21)]
    assert seen[1][1] < seen[0][1]
    assert not any("test" in Path(path).parts for _, images in seen for path in images)
    tuning = json.loads((photos / "runs" / "x" / "results.json").read_text())["finetuning"]
    curve = tuning["learning_curve"]
    assert [size.pop("n_images") for size in curve["sizes"]] == [21, 42]
    assert curve["sizes"][-1] == tuning["change"]
    assert curve["images"] == "images that judge"
    assert not list(Path("runs").glob(".finetuning-*"))
    assert len(tuning["trainings"]) == 1
    told = " ".join(done.out.split())
    assert curve["summary"][0] in told
    page = (photos / "runs" / "x" / "report.html").read_text()
    assert "Learning curve: frozen and fine-tuned" in page
    run = featx.load_run(photos / "runs" / "x")
    assert run.results.finetuning is not None
    assert run.results.finetuning.learning_curve is not None
    assert run.results.finetuning.learning_curve.sizes[0].n_images == 21


def test_every_fold_is_judged_at_every_size(
    photos: Path, seen: list[tuple[str, set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    monkeypatch.setattr(learning, "FEWEST", 9)
    monkeypatch.setattr(learning, "FEWEST_A_CLASS", 3)
    options = {**NETWORK, **TUNING, "epochs": 1, "estimate": "cv", "folds": 2}
    run = featx.finetune("split", learning_curve=True, cache="cache", name="cv", **options)
    trained = dict(seen)
    small = [name for name in trained if "images, fold" in name]
    assert list(trained) == ["fold 1 of 2", "fold 2 of 2", "all images", *small]
    for name in small:
        assert trained[name] < trained[name.partition(", ")[2]]
    found = run.results["finetuning"]["learning_curve"]
    assert found["images"] == "images out of fold"
    assert [size["n_images"] for size in found["sizes"]] == [10, 21]
    assert not list(Path("runs").glob(".finetuning-*"))


def test_an_interrupted_curve_goes_on(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    options = {**NETWORK, **TUNING, "epochs": 1, "learning_curve": True, "cache": "cache"}
    whole = featx.finetune("split", name="whole", **options).results["finetuning"]
    original, trained = TrainingLoop._epoch, []

    def interrupt(loop: TrainingLoop) -> None:
        trained.append(loop.task.name)
        if trained == ["all images", "21 images"]:
            raise KeyboardInterrupt
        original(loop)

    monkeypatch.setattr(TrainingLoop, "_epoch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        featx.finetune("split", name="halves", **options)
    halves = featx.finetune("split", name="halves", **options).results["finetuning"]
    assert trained == ["all images", "21 images", "21 images"]
    assert halves["learning_curve"]["sizes"] == whole["learning_curve"]["sizes"]


def test_too_few_images_are_said(
    photos: Path, seen: list[tuple[str, set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    monkeypatch.setattr(learning, "FEWEST", 22)
    options = {**NETWORK, **TUNING, "epochs": 1}
    run = featx.finetune("split", learning_curve=True, cache="cache", name="few", **options)
    assert [name for name, _ in seen] == ["all images"]
    found = run.results["finetuning"]["learning_curve"]
    assert [size["n_images"] for size in found["sizes"]] == [42]
    assert found["notes"] == ["There are too few training images for a learning curve."]
