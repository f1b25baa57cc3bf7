"""Ray actors that each prepare themselves once and then work through items.

Ray places, runs and watches the actors. An actor that dies costs the items it had not finished:
they go to the front of the queue, and another actor is started in its place.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from featx import console
from featx.clusters._base import Prepare
from featx.errors import ClusterError, FeatxError

_AHEAD = 2  # items a worker has: the second starts while the first one's result is looked at
_ATTEMPTS = 3
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Slot:
    """A share of one machine: its node's id, and how many CPUs and GPUs of it."""

    node: str
    cpus: int
    gpus: int


class _Actor:
    """What runs on the other machine."""

    def start(self, prepare: Prepare, threads: int) -> None:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in cli/main.py
        self._work: Callable[[Any], Any] = prepare(threads)

    def do(self, item: Any) -> Any:
        return self._work(item)


@dataclass
class _Task:
    item: Any
    lost: int = 0


@dataclass(eq=False)
class _Worker:
    """An actor, and what it was given and has not finished, in the order given."""

    slot: Slot
    handle: Any
    ready: bool = False
    tasks: list[_Task] = field(default_factory=list)


class RayPool:
    """See `featx.clusters.Pool`. Leaving it as a context ends the workers.

    Parameters
    ----------
    ray : module
        Ray, initialised.
    prepare : callable
        See `featx.clusters._base.Prepare`.
    slots : sequence of Slot
        One worker each.
    """

    def __init__(self, ray: Any, prepare: Prepare, slots: Iterable[Slot]) -> None:
        self._ray = ray
        self._prepare = prepare
        self._actor = ray.remote(_Actor)
        self._workers: list[_Worker] = []
        self._calls: dict[Any, tuple[_Worker, _Task | None]] = {}  # None: it is starting
        self._again: deque[_Task] = deque()
        self._arrived: list[Any] = []
        self._stillborn = 0
        for slot in slots:
            self._hire(slot)

    @property
    def size(self) -> int:
        """How many workers there are to be."""
        return len(self._workers)

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            self._ray.kill(worker.handle)

    def results(self, items: Iterable[Any]) -> Iterator[list[Any]]:
        """Results as they arrive; see `featx.clusters.Pool.results`."""
        waiting = iter(items)
        while self._assign(waiting):
            self._collect(wait=True)
            if self._arrived:
                yield self._take()

    def arrived(self) -> list[Any]:
        """Results that are there and were not taken yet."""
        # Something else has ended the run: what can be had now is all that is wanted.
        with contextlib.suppress(FeatxError, self._ray.exceptions.RayError):
            self._collect(wait=False)
        return self._take()

    def _take(self) -> list[Any]:
        taken, self._arrived = self._arrived, []
        return taken

    def _hire(self, slot: Slot) -> None:
        """Start a worker, on its machine if that is still there."""
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        handle = self._actor.options(
            num_cpus=slot.cpus,
            num_gpus=slot.gpus,
            scheduling_strategy=strategy(slot.node, soft=True),
        ).remote()
        worker = _Worker(slot, handle)
        self._workers.append(worker)
        self._calls[handle.start.remote(self._prepare, slot.cpus)] = worker, None

    def _assign(self, waiting: Iterator[Any]) -> bool:
        """Give work to those who are ready for it; False once everything is done."""
        # A first item for everybody before anybody's second: a large chunk in a queue would wait
        # while others idle at the end.
        for share in range(1, _AHEAD + 1):
            for worker in self._workers:
                if worker.ready and self._has_room(worker, share):
                    task = self._next(waiting)
                    if task is None:
                        break
                    worker.tasks.append(task)
                    self._calls[worker.handle.do.remote(task.item)] = worker, task
        if any(worker.tasks for worker in self._workers):
            return True
        if not self._again and not any(worker.ready for worker in self._workers):
            task = self._next(waiting)  # nobody is there yet: is there anything to wait for?
            if task is not None:
                self._again.append(task)
        return bool(self._again)

    def _has_room(self, worker: _Worker, share: int) -> bool:
        """Whether it may have one more item; what was with a worker that died is given alone.

        Then it is certain which item kills: a result may be lost although its work was done.
        """
        if any(task.lost for task in worker.tasks):
            return False
        suspect = bool(self._again) and self._again[0].lost > 0
        return len(worker.tasks) < (1 if suspect else share)

    def _next(self, waiting: Iterator[Any]) -> _Task | None:
        if self._again:
            return self._again.popleft()
        for item in waiting:
            return _Task(item)
        return None

    def _collect(self, *, wait: bool) -> None:
        """Look at the calls that have ended, waiting for one if there is none."""
        if wait:
            self._wait()
        calls = list(self._calls)
        ended, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0) if calls else ([], [])
        for call in [call for call in calls if call in set(ended)]:  # in the order they were made
            if call in self._calls:  # else its worker has died meanwhile
                self._finish(call, *self._calls.pop(call))

    def _wait(self) -> None:
        patient = any(worker.ready for worker in self._workers)
        timeout = None if patient else _PATIENCE_S
        while not self._ray.wait(list(self._calls), num_returns=1, timeout=timeout)[0]:
            console.warn("no Ray worker has started yet; is the cluster busy? (see: ray status)")
            timeout = None

    def _finish(self, call: Any, worker: _Worker, task: _Task | None) -> None:
        exceptions = self._ray.exceptions
        try:
            result = self._ray.get(call)
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, FeatxError):
                raise error.cause from None
            raise ClusterError(
                f"A Ray worker failed: {error.cause}",
                hint="Every machine needs the same versions of Python, Ray and featx as here.",
            ) from error
        except exceptions.RayError as error:
            self._bury(worker, error)
            return
        if task is None:
            worker.ready, self._stillborn = True, 0
        else:
            worker.tasks.remove(task)
            self._arrived.append(result)

    def _bury(self, worker: _Worker, error: Exception) -> None:
        """Queue again what a dead worker had not finished, and start another."""
        self._ray.kill(worker.handle)  # it may only be out of reach
        self._workers.remove(worker)
        self._calls = {c: of for c, of in self._calls.items() if of[0] is not worker}
        self._again.extendleft(reversed(worker.tasks))
        attempts = self._stillborn = self._stillborn + (not worker.ready)
        for task in worker.tasks:
            task.lost += 1
        if worker.tasks:
            attempts = worker.tasks[0].lost if len(worker.tasks) == 1 else 0
        reason = str(error).strip().splitlines()[0]
        if attempts >= _ATTEMPTS:
            at = f"at {worker.tasks[0].item}" if worker.tasks else "while starting"
            raise ClusterError(
                f"{_ATTEMPTS} Ray workers in a row died {at}: {error}",
                hint="Is there memory for the network? See Ray's logs: ray logs",
            )
        console.warn(f"a Ray worker was lost; its unfinished work will be repeated: {reason}")
        self._hire(worker.slot)
