"""A training from where its folder says it stood: in this process, or in several."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch

from featx.config import FinetuneConfig
from featx.finetuning.curves import writing_curves
from featx.finetuning.distributed import World
from featx.finetuning.launching import Ask, run_together
from featx.finetuning.memory import keeping_memory
from featx.finetuning.task import Task, Trained
from featx.finetuning.training import TrainingLoop
from featx.machine import cpu_cores


def train(task: Task, config: FinetuneConfig) -> Trained:
    """Train a network from where its folder says it stood, or from the beginning.

    Parameters
    ----------
    task : Task
    config : FinetuneConfig

    Returns
    -------
    Trained
        The same, bit for bit on one CPU, however often it was killed and started again.

    Raises
    ------
    UsageError
        ``config.unfreeze`` asks for more stages than there are, or ``config.lora`` for attention
        that there is not.
    DatasetError, DecodeError
        An image has changed or cannot be read any more.
    MissingExtraError
        ``task.curves`` without tensorboard.
    """
    with writing_curves(task.curves) as write:
        task = replace(task, watchers=(write, *task.watchers))
        trained = _train_together(task, config) if task.devices else _train_here(task, config)
        write(trained.history)
        return trained


def _train_here(task: Task, config: FinetuneConfig) -> Trained:
    """Train in this process."""
    with (
        torch.random.fork_rng(),
        keeping_memory(task.device),
        TrainingLoop(task, config) as training,
    ):
        training.restore()
        if not training.progress.stopped:
            training.run()
        return training.best()


def _train_together(task: Task, config: FinetuneConfig) -> Trained:
    """Have several processes train, and read what they wrote."""

    def watch(history: Any) -> str:
        reasons = [watcher(history) for watcher in task.watchers]
        return next(filter(None, reasons), "")

    own = replace(task, backbone=copy.deepcopy(task.backbone), device="cpu")
    with TrainingLoop(own, config) as training:
        training.restore()
        if not training.progress.stopped:
            task.bank.forget()  # the processes have memory of their own for images
            n = len(task.devices)
            theirs = replace(task, bank=task.bank.divided(n), watchers=(), curves=None)
            run_together(_train_share, task.devices, (theirs, config), watch, task.name)
            training.restore(aloud=False)
        trained = training.best()
    trained.classifier.to(task.device)
    return trained


def _train_share(world: World, ask: Ask, task: Task, config: FinetuneConfig) -> None:
    """What each of several processes does."""
    config = config.model_copy(update={"memory_mb": config.memory_mb // world.size})
    watchers = (ask,) if world.leads else ()
    task = replace(task, device=world.device, watchers=watchers)
    if world.device == "cpu":
        threads = min(torch.get_num_threads(), cpu_cores())
        torch.set_num_threads(max(1, threads // world.size))
    with keeping_memory(world.device), TrainingLoop(task, config, world) as training:
        training.restore(aloud=False)
        training.run()
