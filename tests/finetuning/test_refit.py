"""The network that ships is trained on with its validation images too."""

from __future__ import annotations

import copy
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetune_lab import TRAINING, Lab, assert_same_weights, die_at, timeless
from test_finetune_cli import featx_where

import featx
from featx import finetuning
from featx.artifact import load_model
from featx.config import FinetuneConfig
from featx.finetuning import resolve_rates, train
from featx.finetuning.refitting import refit
from tests.lab import NETWORK, TUNING, csv_rows, flags, in_process

NONE = np.zeros(0, np.int64)
OPTIONS: dict[str, Any] = {**NETWORK, **TUNING, "refit": True, "epochs": 2, "heat_maps": False}


def config(**changes: Any) -> FinetuneConfig:
    given = {"epochs": 3, "train_batch": 8, "learning_rate": 1e-3, "checkpoint_s": 0.0}
    return FinetuneConfig(**{**given, **changes})


@pytest.mark.parametrize(
    "options",
    [{"ema": 0.5}, {"augment": "none", "unfreeze": "last-1"}],  # frozen stages played back
    ids=["all", "last-1"],
)
def test_without_validation_images_it_is_the_same_network(
    lab: Lab, tmp_path: Path, options: dict[str, Any]
) -> None:
    asked = config(average_last=0.0, **options)
    first = train(lab.task(folder=tmp_path / "first"), asked)
    again = train(lab.task(folder=tmp_path / "again", validation=NONE), asked)
    assert (again.stopped, again.best_epoch, len(again.history)) == ("epochs", 3, 4)
    assert {row["validation_loss"] for row in again.history} == {None}
    for column in ("learning_rate", "train_loss"):
        assert [row[column] for row in first.history] == [row[column] for row in again.history]
    assert_same_weights(first, again)


def test_it_is_the_mean_of_the_network_before_and_after(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores, which the temperature divides, are those of the mean of the undivided weights."""
    asked = resolve_rates(
        config(epochs=6, unfreeze="gradual", schedule="plateau"), lab.backbone.network
    )
    first = train(lab.task(folder=tmp_path / "first"), asked)
    before = copy.deepcopy(first.classifier.state_dict())
    first.classifier.cool(2.0)
    cooled = copy.deepcopy(first.classifier.state_dict())
    trained_on: list[Any] = []
    original = finetuning.train

    def record(task: Any, config: Any) -> Any:
        trained = original(task, config)
        trained_on.append((config, copy.deepcopy(trained.classifier.state_dict())))
        return trained

    monkeypatch.setattr(finetuning, "train", record)
    task = lab.task(folder=tmp_path / "again", training=np.arange(30), validation=NONE)
    refitted = refit(task, asked, first, 2.0)
    assert refitted is not None
    [(continued, after)] = trained_on
    settings = continued.epochs, continued.schedule, continued.start, continued.unfreeze
    assert settings == (2, "cosine", "fitted", "all")
    assert continued.learning_rate == 1e-3
    shipped = refitted.trained.classifier.state_dict()
    moved = 0
    for name, tensor in before.items():
        expected = (tensor.double() + after[name].double()) / 2
        scale = 2 if name.startswith("layers.") else 1
        np.testing.assert_allclose(scale * shipped[name].double(), expected, rtol=1e-5, atol=1e-6)
        moved += not torch.equal(tensor, after[name])
    assert moved > 2
    for name, tensor in first.classifier.state_dict().items():
        assert torch.equal(tensor, cooled[name]), name


def test_interrupted_it_goes_on_to_the_same_bits(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, changes = config(epochs=2), {"training": np.arange(30), "validation": NONE}
    whole = train(lab.task(folder=tmp_path / "whole", **changes), asked)
    die_at(monkeypatch, [2, 5])
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(lab.task(folder=tmp_path / "parts", **changes), asked)
    parts = train(lab.task(folder=tmp_path / "parts", **changes), asked)
    assert timeless(parts) == timeless(whole)
    assert_same_weights(whole, parts)


def test_a_refit_that_diverges_leaves_the_first_network(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(lab.task(folder=tmp_path / "first"), config(epochs=1))
    task = lab.task(folder=tmp_path, training=TRAINING, validation=NONE)
    wild = config(optimizer="sgd", learning_rate=100.0, clip=0.0, layer_decay=1.0)
    assert refit(task, wild, first, 1.0) is None
    assert "The network trained without the validation images is kept" in capsys.readouterr().err


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, set[str], set[str]]]:
    """Each training, and the images that it is trained and validated on."""
    found: list[tuple[str, set[str], set[str]]] = []
    original = finetuning.train

    def record(task: Any, config: Any) -> Any:
        names = ["/".join(Path(path).parts[-2:]) for path in task.bank.paths]
        sides = [{names[i] for i in rows} for rows in (task.training, task.validation)]
        found.append((task.name, sides[0], sides[1]))
        return original(task, config)

    monkeypatch.setattr(finetuning, "train", record)
    return found


def test_the_refitted_network_ships_and_the_first_says_how_far_to_trust_it(
    workspace: Path, seen: list[tuple[str, set[str], set[str]]], monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(workspace)
    options = {**OPTIONS, "cache": str(workspace / "cache"), "epochs": 3, "report": True}
    whole = featx.finetune("split", name="refitted", **options)
    said = capfd.readouterr().err
    assert "in 1 training and its refit: about " in said
    (first, on, held), (again, on_all, nobody) = seen
    assert (first, again, nobody) == ("all images", "refit of all images", set())
    assert on_all == on | held
    assert len(on_all) == 30
    [training] = whole.results["finetuning"]["trainings"]
    refitted = training["refit"]
    assert {k: refitted[k] for k in ("name", "n_training", "epochs", "stopped")} == {
        "name": again, "n_training": 30, "epochs": 1, "stopped": "epochs",
    }  # fmt: skip
    rows = [row for row in csv_rows(whole.folder / "curves.csv") if row["training"] == again]
    assert len(rows) == 2
    assert {row["validation_loss"] for row in rows} == {""}
    assert featx.load_run(whole.folder).results.finetuning.trainings[0].refit.n_training == 30  # type: ignore[union-attr]
    assert "for 1 more epoch on all 30 training images" in (
        whole.folder / "model" / "README.md"
    ).read_text("utf-8")
    assert "A refit is trained on the validation images too" in whole.folder.joinpath(
        "report.html"
    ).read_text("utf-8")
    half = featx.finetune("split", name="not", **{**options, "refit": False, "report": False})
    ours, theirs = (run.predictions["test"].proba for run in (whole, half))
    assert not np.allclose(ours, theirs)
    assert np.array_equal(*(run.predictions["frozen"].proba for run in (whole, half)))
    # Sets and cutoffs come from the first network's validation images, in both runs.
    models = [load_model(run.folder) for run in (whole, half)]
    sets = [model.trust.sets for model in models if model.trust is not None]
    assert sets[0] == sets[1]
    assert np.array_equal(*(m.operating.cutoff for m in models if m.operating is not None))


def test_each_fold_is_refitted_without_the_images_that_judge_it(
    workspace: Path, seen: list[tuple[str, set[str], set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    options = {**OPTIONS, "cache": str(workspace / "cache"), "folds": 2, "start": "fitted"}
    run = featx.finetune("photos", name="folds", **options)
    fold = dict(zip(run.predictions["oof"].ids, run.predictions["oof"].fold, strict=True))
    trainings = run.results["finetuning"]["trainings"]
    expected = []
    for training in trainings:
        again = [f"refit of {training['name']}"]
        fell = training["below_warm_start"] is not None
        last = training["name"] == "all images"
        assert ("refit" in training) <= (not fell)
        if not last:
            assert ("refit" in training) == (not fell)
        expected += [training["name"], *(again if "refit" in training else [])]
    assert [name for name, _, _ in seen] == expected
    assert any(name.startswith("refit of fold") for name in expected)
    for name, on, held in seen:
        if "fold" in name:
            judged = int(name.split(" of 2")[0].split()[-1]) - 1
            assert {fold[i] for i in on | held} == {1 - judged}
            if name.startswith("refit"):
                assert len(on) == sum(f != judged for f in fold.values())


def test_what_the_guard_refuses_is_not_refitted(
    workspace: Path, seen: list[tuple[str, set[str], set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    wild = {"optimizer": "sgd", "learning_rate": 50.0, "clip": 0.0, "unfreeze": "all"}
    options = {**OPTIONS, **wild, "cache": str(workspace / "cache")}
    run = featx.finetune("split", name="wild", **options)
    assert run.results["finetuning"]["answer"] == "frozen"
    assert [name for name, _, _ in seen] == ["all images"]
    assert "refit" not in run.results["finetuning"]["trainings"][0]


def test_a_search_refits_what_it_chose(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    monkeypatch.chdir(workspace)
    used = []
    original = finetuning.train

    def record(task: Any, config: Any) -> Any:
        used.append(config)
        return original(task, config)

    monkeypatch.setattr(finetuning, "train", record)
    options = {**OPTIONS, "cache": str(workspace / "cache"), "trials": 2, "tune": ["learning_rate"]}
    run = featx.finetune("split", name="refit-searched", **options)
    [training] = run.results["finetuning"]["trainings"]
    [again] = used
    assert again.learning_rate == training["search"]["chosen"]["learning_rate"]
    assert training["refit"]["epochs"] == 1


def test_kill_9_during_the_refit_and_the_same_command_goes_on(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """All 30 images take five steps of 7 an epoch, those without the validation part four."""
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("FEATX_CACHE", str(workspace / "cache"))
    options = {**OPTIONS, "epochs": 1, "train_batch": 7, "checkpoint_s": 0, "report": False}
    arguments = ["finetune", "split", *flags(options), "--runs", "refit-killed"]
    process = featx_where("lab.before_step(4, lab.die)", *arguments, "--name", "k")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    run = in_process(capfd)
    done = run(*arguments, "--name", "k")
    assert done.code == 0, done.err
    assert "refit of all images: going on from a checkpoint, epoch 1, step 4" in done.err
    assert not list(Path("refit-killed").glob(".finetuning-*"))
    assert run(*arguments, "--name", "whole").code == 0
    texts, digests = [], []
    for name in ("k", "whole"):
        texts.append(Path(f"refit-killed/{name}/predictions.csv").read_text())
        model = load_model(f"refit-killed/{name}")
        digests.append(model.specs[0].document["weights_sha256"])
    assert texts[0] == texts[1]
    assert digests[0] == digests[1]


def test_a_configuration_of_an_older_featx_refits_nothing() -> None:
    assert FinetuneConfig().refit
    before = FinetuneConfig(preset="balanced").model_dump()
    del before["refit"]  # a run of a featx that refitted nothing wrote all other fields
    assert not FinetuneConfig.model_validate(before).refit
    assert FinetuneConfig(preset="quick").refit
