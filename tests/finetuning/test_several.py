"""Several processes that share each step: the same network as one, and none outlives another."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetune_lab import Lab, die_at, timeless
from interrupt_lab import share_until_interrupted, share_until_killed
from torch import Tensor

from featx.config import FinetuneConfig
from featx.errors import ClusterError, DatasetError
from featx.finetuning import Task, Trained, starting, train
from featx.finetuning.checkpoints import read_snapshot
from featx.finetuning.distributed import World
from featx.finetuning.launching import Ask, run_together
from featx.finetuning.training import LAST, TrainingLoop

TWO = ("cpu", "cpu")

#: Batches of 5 and 4 images, each shared unevenly, and all that draws or is weighed.
SETTINGS = FinetuneConfig(
    epochs=3,
    train_batch=5,
    learning_rate=1e-2,
    optimizer="sgd",
    unfreeze="gradual",
    augment="medium",
    mixup=0.4,
    cutmix=1.0,
    balanced_sampling=True,
    class_weight="balanced",
    label_smoothing=0.1,
    ema=0.9,
    accumulate=2,
    patience=9,
    checkpoint_s=0.0,
)


def last(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    found = read_snapshot(folder / LAST)
    assert found is not None
    return found


def assert_close(one: Trained, other: Trained) -> None:
    assert one.best_epoch == other.best_epoch
    for a, b in zip(timeless(one), timeless(other), strict=True):
        assert a == {k: v if v is None else pytest.approx(v, rel=1e-4) for k, v in b.items()}
    theirs = other.classifier.state_dict()
    for name, tensor in one.classifier.state_dict().items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> tuple[ForkServerContext, Path]:
    """Where processes fork from one that has imported torch; a folder of what they print."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["timm", "torch.distributed", "sklearn.linear_model"])
    folder = tmp_path_factory.mktemp("server")
    kept = [(fd, os.dup(fd)) for fd in (1, 2)]
    for fd, _ in kept:
        with (folder / str(fd)).open("ab") as file:
            os.dup2(file.fileno(), fd)
    forkserver.ensure_running()
    for fd, before in kept:
        os.dup2(before, fd)
        os.close(before)
    return context, folder


@pytest.fixture
def warm(
    server: tuple[ForkServerContext, Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], str]:
    """Processes start in no time (those of `together` as for users); what they say on stderr."""
    context, folder = server
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: context)
    start = (folder / "2").stat().st_size

    def said() -> str:
        assert (folder / "1").read_bytes() == b""
        return (folder / "2").read_bytes()[start:].decode()

    return said


@pytest.fixture(scope="module")
def together(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    """One training by two processes that nothing interrupted."""
    folder = tmp_path_factory.mktemp("together")
    return train(lab.task(folder=folder, devices=TWO), SETTINGS), folder


def test_two_processes_train_the_network_that_one_trains(
    lab: Lab, tmp_path: Path, together: tuple[Trained, Path]
) -> None:
    assert_close(train(lab.task(folder=tmp_path), SETTINGS), together[0])


def test_two_processes_train_alike_without_validation_images(
    lab: Lab, tmp_path: Path, warm: Callable[[], str]
) -> None:
    changes = {"training": np.arange(30), "validation": np.arange(0)}
    one, two = (
        train(lab.task(folder=tmp_path / name, devices=devices, **changes), SETTINGS)
        for name, devices in (("one", ()), ("two", TWO))
    )
    assert {row["validation_loss"] for row in two.history} == {None}
    assert_close(one, two)


def test_they_go_on_where_one_was_interrupted_and_end_when_told(
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    warm: Callable[[], str],
) -> None:
    """With frozen stages computed once, and a watcher of the process that started them."""
    settings = FinetuneConfig(
        epochs=5, train_batch=7, learning_rate=1e-3, augment="none", unfreeze="last-1", patience=9
    )
    seen: list[int] = []

    def watch(history: list[dict[str, Any]]) -> str:
        seen.append(len(history) - 1)
        return "pruned" if len(history) == 4 else ""

    whole = train(lab.task(folder=tmp_path / "whole", watchers=(watch,)), settings)
    die_at(monkeypatch, [6])
    task = lab.task(folder=tmp_path / "parts", watchers=(watch,))
    with pytest.raises(KeyboardInterrupt):
        train(task, settings.model_copy(update={"checkpoint_s": 0.0}))
    seen.clear()
    capfd.readouterr()
    parts = train(replace(lab.task(folder=task.folder, watchers=(watch,)), devices=TWO), settings)
    assert_close(whole, parts)
    assert parts.stopped == whole.stopped == "pruned"
    assert seen == [2, 3]
    said = capfd.readouterr().err + warm()
    assert said.count("going on from a checkpoint, epoch 2, step 6") == 1
    assert said.count("frozen stages computed once") == 1
    assert said.count("epoch 3 of 5") == 1


def test_a_killed_process_ends_the_others_and_the_same_command_goes_on(
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    together: tuple[Trained, Path],
    warm: Callable[[], str],
) -> None:
    def end(share: Any, error: Any) -> tuple[str, int]:
        with monkeypatch.context() as patch:
            patch.setattr(starting, "_train_share", share)
            with pytest.raises(error) as ended:
                train(lab.task(folder=tmp_path, devices=TWO), SETTINGS)
        assert not multiprocessing.active_children()
        return str(ended.value), last(tmp_path)[1]["step"]

    words, step = end(share_until_killed, ClusterError)
    assert "process 2 of 2 (cpu) was ended by SIGKILL" in words
    assert 2 <= step <= 3
    _, step = end(share_until_interrupted, KeyboardInterrupt)
    assert step == 7
    finished = train(lab.task(folder=tmp_path, devices=TWO), SETTINGS)
    assert timeless(finished) == timeless(together[0])
    tensors, expected = last(tmp_path)[0], last(together[1])[0]
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in tensors)


def test_an_error_of_one_process_is_the_error(
    lab: Lab, tmp_path: Path, warm: Callable[[], str]
) -> None:
    task = lab.task(folder=tmp_path, devices=TWO)
    task.bank.hashes = task.bank.hashes.copy()
    task.bank.hashes[3] ^= 1
    with pytest.raises(DatasetError, match=r"03\.png has changed since it was embedded"):
        train(task, SETTINGS)
    assert not multiprocessing.active_children()


def share_little(world: World, ask: Ask, task: Task, config: FinetuneConfig) -> None:
    """Two trainings: one where the second process has too little memory, one of few images."""
    torch.set_num_threads(1)
    print("data are printed by the command alone")
    scores = TrainingLoop._scores

    def small(self: TrainingLoop, rows: Any, x: Any) -> Tensor:
        if world.rank == 1 and len(rows) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
        return scores(self, rows, x)

    TrainingLoop._scores = small  # type: ignore[method-assign]
    with TrainingLoop(task, config, world) as training:
        training.run()
        ask(("parts", training.progress.parts))
        ask(("loss", training.progress.history[1]["train_loss"]))
        means = [b for n, b in training.classifier.named_buffers() if n.endswith("running_mean")]
        ask(("means", torch.cat(means).tolist()))
    few = replace(task, training=task.training[:1], folder=task.folder / "few")
    with TrainingLoop(
        few, config.model_copy(update={"train_batch_norm": False}), world
    ) as training:
        training.run()
        weights = torch.cat([p.reshape(-1) for p in training.classifier.parameters()])
        ask(("weights", weights.tolist()))


def test_they_agree_on_parts_statistics_and_empty_shares(
    lab: Lab, tmp_path: Path, warm: Callable[[], str]
) -> None:
    config = FinetuneConfig(
        epochs=1, train_batch=8, learning_rate=1e-3, augment="none", train_batch_norm=True,
        start="fitted", head_rate=1.0,
    )  # fmt: skip
    said: dict[str, list[Any]] = {}
    run_together(
        share_little,
        TWO,
        (lab.task(folder=tmp_path), config),
        lambda question: said.setdefault(question[0], []).append(question[1]),
        "a test",
    )
    printed = warm()
    assert printed.count("going on with a step's images in 2 parts") == 1
    assert "data are printed by the command alone" in printed  # to stderr
    assert said["parts"] == [2, 2]
    assert len(said["loss"]) == len(said["means"]) == len(said["weights"]) == 2
    assert said["means"][0] == said["means"][1]
    assert said["weights"][0] == said["weights"][1]
    before = [b for n, b in lab.backbone.network.named_buffers() if n.endswith("running_mean")]
    moved = np.array(said["means"][0]) - torch.cat(before).numpy()
    assert np.abs(moved).max() > 1e-4
    assert all(math.isfinite(loss) for loss in said["loss"])


@pytest.mark.parametrize(("n", "size"), [(7, 3), (8, 2), (1, 4), (0, 2)])
def test_shares_are_even_and_whole(n: int, size: int) -> None:
    shares = [World(rank, size).share(n) for rank in range(size)]
    assert np.concatenate(shares).tolist() == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA GPUs")
def test_two_gpus_train_the_network_that_one_trains(lab: Lab, tmp_path: Path) -> None:
    one = train(lab.task(folder=tmp_path / "one", device="cuda:0"), SETTINGS)
    devices = ("cuda:0", "cuda:1")
    two = train(lab.task(folder=tmp_path / "two", device="cuda:0", devices=devices), SETTINGS)
    for a, b in zip(one.history, two.history, strict=True):
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-2)
    assert {p.device.type for p in two.classifier.parameters()} == {"cuda"}
