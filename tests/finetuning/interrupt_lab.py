"""Ways to end a training at a known step, for processes that tests start."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from featx.config import FinetuneConfig
from featx.finetuning import Task
from featx.finetuning.distributed import World
from featx.finetuning.launching import Ask
from featx.finetuning.starting import _train_share
from featx.finetuning.training import TrainingLoop


def before_step(step: int, act: Callable[[], object]) -> None:
    """Do something where so many steps are done, in every training of this process."""
    go = TrainingLoop._step

    def acting(self: TrainingLoop, *arguments: Any) -> None:
        if self.progress.step == step:
            act()
        go(self, *arguments)

    TrainingLoop._step = acting  # type: ignore[method-assign]


def die() -> None:
    """As by ``kill -9``."""
    os.kill(os.getpid(), signal.SIGKILL)


def halt() -> None:
    """Compute nothing more; only an end from outside is an end."""
    threading.Event().wait()


def interrupt_parent() -> None:
    """Ctrl-C, of which only the process that started this one hears; wait to be ended by it."""
    parent = multiprocessing.parent_process()
    assert parent is not None and parent.pid is not None  # noqa: PT018
    os.kill(parent.pid, signal.SIGINT)
    halt()


def share_until_killed(world: World, ask: Ask, task: Task, config: FinetuneConfig) -> None:
    """Process 1 dies after three steps, of which process 0 has saved two at least."""
    if world.rank == 1:
        before_step(3, die)
    _train_share(world, ask, task, config)


def share_until_interrupted(world: World, ask: Ask, task: Task, config: FinetuneConfig) -> None:
    """Ctrl-C in the second of three epochs."""
    if world.leads:
        before_step(7, interrupt_parent)
    _train_share(world, ask, task, config)


def share_until_halted(world: World, ask: Ask, task: Task, config: FinetuneConfig) -> None:
    """Both processes hang after three steps."""
    before_step(3, halt)
    _train_share(world, ask, task, config)
