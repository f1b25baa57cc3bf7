"""Searched hyperparameters: what is tried, pruned, kept and read, and how a search goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finetune_lab import FORBIDDEN, N_IMAGES, VALIDATION, Lab, assert_same_weights
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.config import FinetuneConfig
from featx.errors import MissingExtraError
from featx.finetuning import Searched, predict, search
from featx.finetuning.space import Study, TuningTrial, asked_point, find_space
from featx.finetuning.training import TrainingLoop
from featx.fitting.budget import Budget
from featx.sealed import seal_line, unseal_line

pytest.importorskip("optuna")


def config(**options: Any) -> FinetuneConfig:
    rates = {"learning_rate": 1e-3, "layer_decay": 1.0, "head_rate": 1.0}
    kept = {"start": "fitted", "monitor": "loss"}
    fixed = {"epochs": 1, "train_batch": 8, "trials": 3, **rates, **kept}
    return FinetuneConfig(**{**fixed, **options})


def without_times(found: Searched) -> list[dict[str, Any]]:
    return [{k: v for k, v in t.document().items() if k != "elapsed_s"} for t in found.trials]


class Clock:
    """Moves on by a second when it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_the_best_of_what_was_tried_is_kept(lab: Lab, tmp_path: Path) -> None:
    task = lab.task(folder=tmp_path)
    found = search(task, config(), None)
    assert [t.number for t in found.trials] == [1, 2, 3]
    assert found.ended == "trials"
    assert found.trials[0].values == asked_point(config())
    assert found.trials[0].values["unfreeze"] == "all"
    losses = [t.document()["validation_loss"] for t in found.trials]
    assert found.chosen == found.trials[losses.index(min(losses))]
    said = predict(found.trained.classifier, lab.bank(), VALIDATION, "fp32")
    y = lab.y[VALIDATION]
    assert -np.log(said[np.arange(len(y)), y]).mean() == pytest.approx(min(losses), rel=1e-3)
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"trials.jsonl", f"trial-{found.chosen.number}"}
    json.dumps(found.document(), allow_nan=False)


def test_only_training_and_validation_images_are_read(lab: Lab, tmp_path: Path) -> None:
    task = lab.task(folder=tmp_path)
    read: set[int] = set()
    original = task.bank._pixels

    def record(row: int, spare: bool) -> Any:
        read.add(row)
        return original(row, spare)

    task.bank._pixels = record  # type: ignore[method-assign]
    search(task, config(trials=2), None)
    assert read == set(range(N_IMAGES)) - set(FORBIDDEN.tolist())


def test_a_bad_trial_is_pruned_after_an_epoch(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = [2e-3, 3e-3, 4e-5, 4e-3]
    monkeypatch.setattr(Study, "ask", lambda self, done: {"learning_rate": rates[len(done) - 1]})
    plain = {"augment": "light", "warmup": 0.1, "label_smoothing": 0.0, "layer_decay": 0.75}
    asked = config(trials=5, epochs=2, tune=["learning_rate"], **plain)
    found = search(lab.task(folder=tmp_path), asked, None)
    assert [t.stopped for t in found.trials] == ["epochs"] * 3 + ["pruned", "epochs"]
    assert len(found.trials[3].history) == 2
    assert found.chosen.number != 4


def test_pruned_is_what_is_worse_than_the_median() -> None:
    def history(*losses: float) -> list[dict[str, Any]]:
        rows = enumerate([9.0, *losses])
        return [{"epoch": i, "validation_loss": v, "validation_score": 0.5} for i, v in rows]

    def hopeless(finished: Sequence[TuningTrial], *losses: float) -> bool:
        return study.hopeless(finished, {"learning_rate": 1e-4}, history(*losses))

    asked = FinetuneConfig(learning_rate=1e-4, tune=["learning_rate"])
    study = Study(find_space(asked, 4), "loss", 0)
    done = [
        TuningTrial(i, {"learning_rate": 1e-4}, history(loss, loss / 2), 2, "epochs", 1.0)
        for i, loss in enumerate([1.0, 2.0, 3.0])
    ]
    assert hopeless(done, 2.1)
    assert not hopeless(done, 1.9)
    assert not hopeless(done, 2.1, 0.9)  # the median of the second epoch is 1
    assert hopeless(done, 1.9, 1.9, 1.9) is False  # no other had a third
    assert not hopeless(done[:2], 9.9)


def test_a_search_that_went_on_equals_one_that_was_not_interrupted(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = config(trials=4, epochs=2, checkpoint_s=0.0)
    whole = search(lab.task(folder=tmp_path / "whole"), asked, None)
    steps, killed_at = [0], [4, 9, 12]
    step = TrainingLoop._step

    def die(self: TrainingLoop, *arguments: Any) -> None:
        steps[0] += 1
        if killed_at and steps[0] == killed_at[0]:
            killed_at.pop(0)
            raise KeyboardInterrupt
        step(self, *arguments)

    monkeypatch.setattr(TrainingLoop, "_step", die)
    task = lab.task(folder=tmp_path / "parts")
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            search(task, asked, None)
    journal = tmp_path / "parts" / "trials.jsonl"
    assert journal.read_bytes()
    journal.write_bytes(journal.read_bytes() + b'{"number": 9, "va')  # a line that was torn
    parts = search(task, asked, None)
    assert not killed_at
    assert without_times(parts) == without_times(whole)
    assert_same_weights(whole.trained, parts.trained)


def test_the_best_is_made_again_where_its_checkpoints_were_lost(lab: Lab, tmp_path: Path) -> None:
    task = lab.task(folder=tmp_path)
    found = search(task, config(trials=1, epochs=2), None)
    for path in (tmp_path / "trial-1").iterdir():
        path.unlink()
    again = search(task, config(trials=1, epochs=2), None)
    assert_same_weights(found.trained, again.trained)


def test_a_budget_ends_it_between_epochs(lab: Lab, tmp_path: Path) -> None:
    task = lab.task(folder=tmp_path)
    found = search(task, config(trials=50, epochs=9, patience=9), Budget(4.5, [1.0], Clock()))
    assert found.ended == "budget"
    assert found.trials[0].stopped == "budget"
    assert 1 <= len(found.trials[0].history) - 1 < 9
    assert len(found.trials) == 1
    again = search(task, config(trials=50, epochs=9), Budget(1e9, [1.0]))
    assert without_times(again) == without_times(found)


def test_one_epoch_is_trained_in_any_case(lab: Lab, tmp_path: Path) -> None:
    found = search(lab.task(folder=tmp_path), config(epochs=5), Budget(0.0, [1.0]))
    assert [len(t.history) for t in found.trials] == [2]


def test_what_an_interrupted_search_took_counts(lab: Lab, tmp_path: Path) -> None:
    journal = tmp_path / "trials.jsonl"
    task = lab.task(folder=tmp_path)
    search(task, config(trials=2), None)
    lines = [unseal_line(line, journal.name) for line in journal.read_bytes().splitlines()[:2]]
    for line in lines:
        line["elapsed_s"] = 60.0
    journal.write_bytes(b"".join(seal_line(line, journal.name) for line in lines))
    found = search(task, config(trials=3), Budget(119.0, [1.0]))
    assert (found.ended, len(found.trials)) == ("budget", 2)


def test_nothing_is_tried_twice(lab: Lab, tmp_path: Path) -> None:
    asked = config(trials=20, tune=["augment"], unfreeze="head")
    found = search(lab.task(folder=tmp_path), asked, None)
    tried = [t.values["augment"] for t in found.trials]
    assert sorted(tried) == ["crop", "light", "medium", "none", "randaugment", "strong"]
    assert found.ended == "nothing new to try"


@settings(max_examples=20, deadline=None)
@given(
    st.floats(1e-9, 100),
    st.floats(0, 10),
    st.sampled_from(["head", "last-1", "last-3", "all", "gradual"]),
    st.floats(1e-3, 1),
    st.integers(1, 50),
    st.integers(0, 2**32 - 1),
)
def test_points_are_settings(
    rate: float, decay: float, unfreeze: str, layers: float, epochs: int, seed: int
) -> None:
    values = {"learning_rate": rate, "weight_decay": decay, "unfreeze": unfreeze}
    asked = FinetuneConfig(layer_decay=layers, epochs=epochs, **values)  # type: ignore[arg-type]
    study = Study(find_space(asked, 4), "loss", seed)
    rows = [{"epoch": i, "validation_loss": 1.0, "validation_score": None} for i in range(2)]
    first = TuningTrial(1, asked_point(asked), rows, 0, "epochs", 1.0)
    point = study.ask([first])
    assert point is not None
    assert point == study.ask([first])
    FinetuneConfig.model_validate({**asked.model_dump(), **point})
    assert point["epochs"] <= epochs


def test_without_optuna(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"featx\[optuna\]"):
        search(lab.task(folder=tmp_path), config(), None)
