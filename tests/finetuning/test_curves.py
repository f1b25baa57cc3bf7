"""Curves for TensorBoard: whole, read back by TensorBoard itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from finetune_lab import Lab

import featx
from featx.config import FinetuneConfig
from featx.errors import MissingExtraError
from featx.finetuning import search, train
from featx.finetuning.curves import TAGS
from featx.finetuning.training import TrainingLoop

SETTINGS = FinetuneConfig(epochs=2, train_batch=8, learning_rate=1e-3)


def read(folder: Path) -> dict[str, dict[int, float]]:
    """Tag -> epoch -> value."""
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator(str(folder))
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    return {tag: {e.step: e.value for e in accumulator.Scalars(tag)} for tag in tags}


def expected(history: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        tag: pytest.approx({r["epoch"]: r[column] for r in history if r[column] is not None})
        for column, tag in TAGS.items()
    }


def test_curves_are_those_of_the_history(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    curves = tmp_path / "curves"
    task = lab.task(folder=tmp_path / "training", curves=curves)
    step = TrainingLoop._step

    def die(self: TrainingLoop, *arguments: Any) -> None:
        if self.progress.step == 4:
            assert read(curves)["loss/validation"].keys() == {0, 1}  # as they come
            raise KeyboardInterrupt
        step(self, *arguments)

    monkeypatch.setattr(TrainingLoop, "_step", die)
    with pytest.raises(KeyboardInterrupt):
        train(task, SETTINGS)
    monkeypatch.undo()
    trained = train(lab.task(folder=tmp_path / "training", curves=curves), SETTINGS)
    assert len(list(curves.iterdir())) == 1
    assert read(curves) == expected(trained.history)
    assert set(read(curves)["learning_rate"]) == {1, 2}


def test_each_trial_has_its_own(lab: Lab, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    pytest.importorskip("optuna")
    asked = SETTINGS.model_copy(update={"trials": 2, "epochs": 1})
    found = search(lab.task(folder=tmp_path / "t", curves=tmp_path / "curves"), asked, None)
    for trial in found.trials:
        assert read(tmp_path / "curves" / f"trial-{trial.number}") == expected(trial.history)


@pytest.mark.parametrize(
    ("option", "extra"), [({"tensorboard": "curves"}, "tensorboard"), ({"trials": 2}, "optuna")]
)
def test_what_is_not_installed_is_said_before_anything_is_spent(
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: dict[str, Any],
    extra: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(MissingExtraError, match=rf"featx\[{extra}\]"):
        featx.finetune(workspace / "photos", **option)
    assert not list(tmp_path.iterdir())


def test_a_run_names_its_trainings(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    run = featx.finetune(
        workspace / "split",
        backbone="timm:test_resnet",
        pretrained=False,
        size=32,
        cache=str(workspace / "cache"),
        engine="torch",
        device="cpu",
        precision="fp32",
        unfreeze="head",
        epochs=1,
        name="told",
        tensorboard=tmp_path / "curves",
    )
    found = read(tmp_path / "curves" / "told" / "all-images")
    [training] = run.results["finetuning"]["trainings"]
    assert found["loss/validation"][0] == pytest.approx(training["frozen"]["validation_loss"])
