"""The loop itself: where it begins, what it changes, what it reads, and how it goes on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetune_lab import FORBIDDEN, N_IMAGES, TRAINING, VALIDATION, Lab, die_at, timeless
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from featx.backbones import load_backbone
from featx.config import FinetuneConfig
from featx.errors import DatasetError, UsageError
from featx.finetuning import HeadWeights, ImageBank, NetworkClassifier, Trained, predict, train
from featx.finetuning.checkpoints import read_snapshot
from featx.finetuning.replay import plan_replay
from featx.finetuning.training import LAST, TrainingLoop
from featx.heads._mlp import PerceptronClassifier
from featx.types import BackboneRequest

EVERYTHING = np.arange(N_IMAGES)


def config(**options: Any) -> FinetuneConfig:
    return FinetuneConfig(**{"epochs": 2, "train_batch": 8, "learning_rate": 1e-3, **options})


def state(trained: Trained) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in trained.classifier.state_dict().items()}


@pytest.mark.parametrize("kind", ["three classes", "two classes", "mlp"])
def test_before_any_step_it_says_what_the_frozen_model_says(
    lab: Lab, tmp_path: Path, kind: str
) -> None:
    pipeline = lab.pipeline
    X, y = lab.embeddings(), lab.y
    if kind == "two classes":
        head = Pipeline([("scaler", StandardScaler()), ("head", LogisticRegression())])
        pipeline = head.fit(X, y > 0)
    if kind == "mlp":
        perceptron = PerceptronClassifier((8, 5), activation="gelu", epochs=3, random_state=0)
        pipeline = Pipeline([("scaler", StandardScaler()), ("head", perceptron)]).fit(X, y)
    task = lab.task(folder=tmp_path, head=HeadWeights.of(pipeline))
    training = TrainingLoop(task, config())
    said = predict(training.classifier, task.bank, EVERYTHING, "fp32")
    np.testing.assert_allclose(said, pipeline.predict_proba(X), atol=2e-5)
    back = training.classifier.head_weights().put_into(pipeline)
    np.testing.assert_allclose(back.predict_proba(X), pipeline.predict_proba(X), atol=1e-6)
    assert back is not pipeline


@pytest.mark.parametrize(
    ("mode", "first_trained"), [("head", "layers."), ("last-1", "layer4"), ("last-2", "layer3")]
)
def test_what_is_frozen_stays_as_it_is_bit_for_bit(
    lab: Lab, tmp_path: Path, mode: str, first_trained: str
) -> None:
    task = lab.task(folder=tmp_path)
    before = {k: v.clone() for k, v in TrainingLoop(task, config()).classifier.state_dict().items()}
    after = state(train(task, config(unfreeze=mode, monitor="score", patience=9)))
    last = read_snapshot(tmp_path / LAST)
    assert last is not None
    after = {k[6:]: v for k, v in last[0].items() if k.startswith("model.")}
    names = list(before)
    start = next(i for i, name in enumerate(names) if first_trained in name)
    changed = {name for name in names if not torch.equal(before[name], after[name])}
    weights = {n for n in names if not n.endswith(("running_mean", "running_var", "tracked"))}
    unused = {n for n in names if ".fc." in n}  # the zoo's own classifier
    assert changed == (set(names[start:]) & weights) - unused


def test_gradual_unfreezing_begins_with_the_head_and_reaches_all(lab: Lab, tmp_path: Path) -> None:
    training = TrainingLoop(lab.task(folder=tmp_path), config(unfreeze="gradual", epochs=8))
    counts = [training.unfreezing.n_trained(e) for e in range(8)]
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert counts[4] == len(training.unfreezing.stages)
    training.unfreezing.apply(0)
    trained = {n for n, p in training.classifier.named_parameters() if p.requires_grad}
    assert trained == {"layers.0.weight", "layers.0.bias"}


def test_lower_stages_learn_more_slowly(lab: Lab, tmp_path: Path) -> None:
    trained = train(lab.task(folder=tmp_path), config(layer_decay=0.5, epochs=1))
    shares = [s["learning_rate_share"] for s in trained.stages]
    names = [s["name"] for s in trained.stages]
    assert names[-2:] == ["layer4", "head"]
    assert shares[-3:] == [0.25, 0.5, 10.0]  # the head has a rate of its own


def test_statistics_of_batch_normalisation_move_only_when_asked(lab: Lab, tmp_path: Path) -> None:
    moved = {}
    for asked in (False, True):
        folder = tmp_path / str(asked)
        before = lab.task().backbone.state_dict()
        train(lab.task(folder=folder), config(train_batch_norm=asked, epochs=1))
        found = read_snapshot(folder / LAST)
        assert found is not None
        after = {k.removeprefix("model.backbone."): v for k, v in found[0].items()}
        means = [k for k in before if k.endswith("running_mean")]
        moved[asked] = any(not torch.equal(before[k], after[k]) for k in means)
    assert moved == {False: False, True: True}


def test_only_training_and_validation_images_are_read(lab: Lab, tmp_path: Path) -> None:
    task = lab.task(folder=tmp_path)
    read: set[int] = set()
    original = task.bank._pixels

    def record(row: int, spare: bool) -> Any:
        read.add(row)
        return original(row, spare)

    task.bank._pixels = record  # type: ignore[method-assign]
    train(task, config(augment="medium"))
    assert read == set(range(N_IMAGES)) - set(FORBIDDEN.tolist())


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adamw", "ema": 0.9, "mixup": 0.2, "cutmix": 1.0, "augment": "light"},
        {"optimizer": "sgd", "schedule": "step", "accumulate": 3, "train_batch_norm": True},
        {"optimizer": "rmsprop", "schedule": "plateau", "balanced_sampling": True},
        {"optimizer": "adam", "schedule": "one-cycle", "unfreeze": "gradual", "focal": 2.0},
    ],
    ids=lambda o: o["optimizer"],
)
def test_a_run_that_went_on_equals_one_that_was_not_interrupted(
    lab: Lab, tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.finetuning.training.EXPLODED", math.inf)
    monkeypatch.setattr("featx.finetuning.training.EARLY", 0)  # so that weights are averaged
    settings = config(epochs=3, class_weight="balanced", label_smoothing=0.1, **options)
    whole = train(lab.task(folder=tmp_path / "whole"), settings)
    killed_at = [2, 4, 7]
    die_at(monkeypatch, killed_at)
    often = settings.model_copy(update={"checkpoint_s": 0.0})
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train(lab.task(folder=tmp_path / "parts"), often)
    parts = train(lab.task(folder=tmp_path / "parts"), often)
    assert not killed_at
    last = [read_snapshot(tmp_path / name / LAST) for name in ("whole", "parts")]
    assert last[0] is not None
    assert last[1] is not None
    assert last[0][0].keys() == last[1][0].keys()
    for name, tensor in last[0][0].items():
        assert torch.equal(tensor, last[1][0][name]), name
    assert timeless(whole) == timeless(parts)


@pytest.mark.parametrize("early", [3, 60])
def test_what_is_kept_is_the_mean_of_the_last_weights_but_not_of_early_ones(
    lab: Lab, early: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.finetuning.training.EARLY", early)
    seen: list[torch.Tensor] = []
    step = TrainingLoop._step

    def record(self: TrainingLoop, *arguments: Any) -> None:
        step(self, *arguments)
        seen.append(self.classifier.state_dict()["layers.0.weight"].clone())

    monkeypatch.setattr(TrainingLoop, "_step", record)
    trained = train(lab.task(f"mean-{early}"), config(epochs=2, average_last=0.5))
    last = seen[-3:] if early == 3 else seen[-1:]
    kept = trained.classifier.state_dict()["layers.0.weight"]
    assert len(seen) == 6
    torch.testing.assert_close(kept, torch.stack(last).mean(dim=0))


def test_a_damaged_checkpoint_is_said_and_not_used(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LAST).write_bytes(b"\x80\x04 not tensors")
    trained = train(lab.task(folder=tmp_path), config(epochs=1))
    assert "cannot be read and is not used" in capsys.readouterr().err
    assert len(trained.history) == 2


def test_divergence_is_named_and_the_best_epoch_is_kept(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(optimizer="sgd", learning_rate=99.0, clip=0.0, warmup=0.0, epochs=5)
    trained = train(lab.task(folder=tmp_path), settings)
    assert trained.diverged
    said = capsys.readouterr().err
    assert "training diverged in epoch" in said
    assert "Try a smaller --learning-rate than 99" in said
    assert trained.best_epoch == 0
    probabilities = predict(trained.classifier, lab.bank(), EVERYTHING, "fp32")
    frozen = lab.pipeline.predict_proba(lab.embeddings())
    np.testing.assert_allclose(probabilities, frozen, atol=2e-5)


def test_a_loss_that_is_not_a_number_is_caught(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "featx.finetuning.training.soft_loss", lambda scores, *_, **__: scores.sum(dim=1) * math.nan
    )
    trained = train(lab.task(folder=tmp_path), config())
    assert trained.stopped == "the loss is not finite"


def test_it_learns_and_stops_when_it_no_longer_does(lab: Lab, tmp_path: Path) -> None:
    trained = train(lab.task(folder=tmp_path), config(epochs=40, patience=2, monitor="loss"))
    first, best = trained.row(0), trained.row(trained.best_epoch)
    assert best["validation_loss"] < first["validation_loss"]
    if trained.stopped == "patience":
        assert len(trained.history) - 1 == trained.best_epoch + 2
    assert best["validation_loss"] == min(row["validation_loss"] for row in trained.history)
    said = predict(trained.classifier, lab.bank(), VALIDATION, "fp32")
    y = lab.y[VALIDATION]
    assert -np.log(said[np.arange(len(y)), y]).mean() == pytest.approx(best["validation_loss"])


def test_accumulated_parts_are_one_step(lab: Lab, tmp_path: Path) -> None:
    losses = {}
    for parts in (1, 4):
        settings = config(epochs=1, accumulate=parts, augment="none")
        trained = train(lab.task(folder=tmp_path / str(parts)), settings)
        losses[parts] = trained.row(1)["validation_loss"]
    assert losses[1] == pytest.approx(losses[4], rel=1e-5)


def test_a_file_that_changed_since_it_was_embedded_is_refused(lab: Lab, tmp_path: Path) -> None:
    task = lab.task(folder=tmp_path)
    hashes = task.bank.hashes.copy()
    hashes[3] ^= 1
    task.bank.hashes = hashes
    with pytest.raises(DatasetError, match=r"03\.png has changed since it was embedded"):
        train(task, config())


def test_more_stages_than_there_are(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"last-9: the backbone has 5 stages: conv1, layer1"):
        train(lab.task(folder=tmp_path), config(unfreeze="last-9"))


def test_memory_for_images_is_bounded(lab: Lab) -> None:
    size = 32 * 32 * 3
    bank = lab.bank(memory_bytes=5 * size)
    a = bank.plain(EVERYTHING)
    assert len(bank._kept) == 5
    np.testing.assert_array_equal(a, bank.plain(EVERYTHING))
    bank.forget()
    assert not bank._kept
    assert bank._left == 5 * size


def test_a_checkpoint_is_tensors_and_json(lab: Lab, tmp_path: Path) -> None:
    train(lab.task(folder=tmp_path), config(epochs=1))
    data = (tmp_path / LAST).read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    document = json.loads(header["__metadata__"]["document"])
    assert document["epoch"] == 1
    assert {entry["dtype"] for name, entry in header.items() if name[0] != "_"} <= {"F32", "I64"}


def test_bf16_is_close_to_fp32(lab: Lab, tmp_path: Path) -> None:
    losses = [
        train(replace(lab.task(folder=tmp_path / p), precision=p), config()).row(1)["train_loss"]
        for p in ("fp32", "bf16")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


@pytest.mark.parametrize("mode", ["head", "last-1", "last-2"])
def test_frozen_stages_computed_once_are_the_same(
    lab: Lab, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(unfreeze=mode, augment="none")
    calls = []
    run = NetworkClassifier.normalise

    def count(self: NetworkClassifier, pixels: torch.Tensor) -> torch.Tensor:
        calls.append(len(pixels))
        return run(self, pixels)

    monkeypatch.setattr(NetworkClassifier, "normalise", count)
    once = train(lab.task(folder=tmp_path / "once"), settings)
    n_once = sum(calls)
    monkeypatch.setattr("featx.finetuning.training.plan_replay", lambda *_: None)
    again = train(lab.task(folder=tmp_path / "again"), settings)
    for a, b in zip(once.history, again.history, strict=True):
        assert a["train_loss"] == b["train_loss"] or a["train_loss"] == pytest.approx(
            b["train_loss"], rel=1e-3
        )
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-3)
    assert n_once < 2 * (len(TRAINING) + len(VALIDATION)) < sum(calls) - n_once
    after = [state(t) for t in (once, again)]
    for name, tensor in after[0].items():
        torch.testing.assert_close(tensor, after[1][name], atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize(
    ("name", "size", "possible"),
    [
        ("timm:test_vit", 160, True),
        ("torchvision:squeezenet1_0", 64, True),
        ("featx:mini-v1", 64, False),  # its embedding takes in every stage
    ],
)
def test_frozen_stages_of_other_networks(
    lab: Lab, tmp_path: Path, name: str, size: int, possible: bool
) -> None:
    backbone = load_backbone(BackboneRequest(name, pretrained=False, size_px=size))
    n = backbone.outputs[0].n_features
    head = HeadWeights(np.zeros(n), np.ones(n), [(np.zeros((3, n)), np.zeros(3))])
    bank = ImageBank(lab.paths, lab.hashes, backbone.preprocess, memory_bytes=0)
    task = lab.task(folder=tmp_path, backbone=backbone.network, head=head, bank=bank)
    training = TrainingLoop(task, config(unfreeze="last-1", augment="none"))
    replay = plan_replay(training.classifier, training.unfreezing, task, training.config)
    assert (replay is not None) == possible
    if replay is not None:
        rows = np.array([3, 1, 25])
        with torch.no_grad():
            torch.testing.assert_close(replay.embed(rows), replay.look(rows), rtol=1e-3, atol=1e-4)
        small = training.config.model_copy(update={"memory_mb": 0})
        assert plan_replay(training.classifier, training.unfreezing, task, small) is None


@pytest.mark.parametrize(
    "options", [{"augment": "light"}, {"mixup": 0.2}, {"train_batch_norm": True}]
)
def test_what_changes_is_not_computed_once(
    lab: Lab, tmp_path: Path, options: dict[str, Any]
) -> None:
    settings = config(**{"unfreeze": "last-1", "augment": "none", **options})
    task = lab.task(folder=tmp_path)
    training = TrainingLoop(task, settings)
    assert plan_replay(training.classifier, training.unfreezing, task, settings) is None


def test_memory_that_runs_out_makes_smaller_parts(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(epochs=1, augment="none")
    plain = train(lab.task(folder=tmp_path / "plain"), settings)
    scores = TrainingLoop._scores

    def small(self: TrainingLoop, rows: Any, x: Any) -> torch.Tensor:
        if len(rows) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
        return scores(self, rows, x)

    monkeypatch.setattr(TrainingLoop, "_scores", small)
    trained = train(lab.task(folder=tmp_path / "small"), settings)
    assert "going on with a step's images in 4 parts" in capsys.readouterr().err
    assert trained.row(1)["train_loss"] == pytest.approx(plain.row(1)["train_loss"], rel=1e-4)
    monkeypatch.setattr("featx.finetuning.training.is_out_of_memory", lambda _: False)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(lab.task(folder=tmp_path / "other"), settings)
