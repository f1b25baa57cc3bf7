"""Starting the processes of one training, answering them, and ending them: none outlives another.

They are started by Python's ``multiprocessing`` and find each other through a file, so that there
is no port to choose and no second command. This process computes nothing: where one of the others
dies it is here that it is noticed, and the rest, which may wait for it for ever, is ended.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from featx import console
from featx.data.budget import share_memory
from featx.errors import ClusterError, FeatxError
from featx.finetuning.distributed import World
from featx.system_errors import explain

#: Called by process 0: asks the process that started it.
Ask = Callable[[Any], Any]

_SILENT = -2
_GRACE_S = 3.0  # to end by oneself
_PATIENCE = timedelta(minutes=30)  # for the slowest to arrive where all meet
_BACKEND = {"cuda": "nccl", "cpu": "gloo"}


@dataclass(frozen=True)
class _Failure:
    """How a process ended. Others fail because it did: the earliest is the reason."""

    when: float
    error: FeatxError | OSError | None
    text: str = ""
    trace: str = ""


def run_together(
    work: Callable[..., None],
    devices: Sequence[str],
    arguments: tuple[Any, ...],
    answer: Callable[[Any], Any],
    name: str,
) -> None:
    """Run ``work(world, ask, *arguments)`` in a process for each device, and wait for all.

    Parameters
    ----------
    work : callable
        A function of a module. Only process 0 is heard on stderr; none writes to stdout.
    devices : sequence of str
        ``cuda:N``, each once, or ``cpu`` several times.
    arguments : tuple
        Copied to each process.
    answer : callable
        What this process says when process 0 asks.
    name : str
        Of the work, for people.

    Raises
    ------
    FeatxError
        The one that a process raised.
    ClusterError
        A process died or failed otherwise. The others were ended.
    """
    try:
        payload = pickle.dumps(arguments)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ClusterError(
            f"The network cannot be sent to other processes: {error}.",
            hint="Train it on one device.",
        ) from error
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        team = _Team(devices, name)
        try:
            with console.stage(f"{name}, starting {len(devices)} processes"):
                team.start(work, Path(folder) / "meeting", payload)
            team.serve(answer)
        finally:
            team.end()


class _Line(Enum):
    """Who draws the line of the terminal that moves: the leader, or who started it."""

    TAKEN = "taken"
    FREE = "free"


class _Team:
    """The processes, seen from the one that started them."""

    def __init__(self, devices: Sequence[str], name: str) -> None:
        self.devices, self.name = tuple(devices), name
        self.processes: list[SpawnProcess] = []
        self.pipes: list[Connection] = []
        self.failures: dict[int, _Failure] = {}
        self.elsewhere = ExitStack()  # while the leader draws the line of the terminal

    def start(self, work: Callable[..., None], meeting: Path, payload: bytes) -> None:
        """Start all of them, deaf to Ctrl-C: it is this process that ends them."""
        context = multiprocessing.get_context("spawn")
        with _ctrl_c_waits():
            for rank, device in enumerate(self.devices):
                here, there = context.Pipe()
                world = World(rank, len(self.devices), device)
                process = context.Process(
                    target=_enter,
                    args=(world, work, str(meeting), console.verbosity(), there),
                    daemon=True,
                )
                self.pipes.append(here)
                self.processes.append(process)
                process.start()
                there.close()
        for pipe in self.pipes:
            with suppress(OSError):  # of one that died already: `serve` sees it
                pipe.send_bytes(payload)  # not `send`, by which tensors would be shared
        # The leader takes the line as soon as it is there to draw it.
        connection.wait([self.pipes[0], self.processes[0].sentinel])

    def serve(self, answer: Callable[[Any], Any]) -> None:
        """Answer until all have ended well, or one has not."""
        while running := self._running():
            # Asked once: of a process that ends meanwhile the sentinel is ready, never missing.
            sentinels = [process.sentinel for process in running]
            for ready in connection.wait([*self._open(), *sentinels]):
                if isinstance(ready, Connection) and (message := self._receive(ready)) is not None:
                    ready.send(answer(message))
            if self.failures or any(p.exitcode for p in self.processes):
                self._blame()

    def _running(self) -> list[SpawnProcess]:
        return [p for p in self.processes if p.exitcode is None]

    def _open(self) -> list[Connection]:
        return [pipe for pipe in self.pipes if not pipe.closed]

    def _receive(self, pipe: Connection) -> Any:
        """A question, if it is one; a failure is noted."""
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            pipe.close()
            return None
        if isinstance(message, _Line):
            self.elsewhere.close()
            if message is _Line.TAKEN:
                self.elsewhere.enter_context(console.elsewhere())
            return None
        if not isinstance(message, _Failure):
            return message
        self.failures[self.pipes.index(pipe)] = message
        return None

    def _blame(self) -> None:
        """Raise what went wrong first."""
        # Whoever else failed has until now to say so: one that was killed leaves no word.
        connection.wait([p.sentinel for p in self._running()], timeout=1)
        for pipe in self._open():
            while not pipe.closed and pipe.poll():
                self._receive(pipe)
        codes = [p.exitcode or 0 for p in self.processes]
        killed = next((rank for rank, code in enumerate(codes) if code < 0), None)
        if killed is not None:
            self._tell(killed, f"was ended by {signal.Signals(-codes[killed]).name}")
        if not self.failures:
            rank = next(rank for rank, code in enumerate(codes) if code)
            self._tell(rank, f"ended with exit code {codes[rank]}")
        rank, failure = min(self.failures.items(), key=lambda item: item[1].when)
        if failure.error is not None:
            raise failure.error
        console.detail(failure.trace)
        self._tell(rank, failure.text)

    def _tell(self, rank: int, what: str) -> None:
        raise ClusterError(
            f"{self.name}: process {rank + 1} of {len(self.processes)} ({self.devices[rank]}) "
            f"{what}; the others were stopped.",
            hint="Nothing computed is lost: the same command goes on from the last checkpoint.",
        )

    def end(self) -> None:
        """End those that still run, gently first: a progress bar has a cursor to give back."""
        self.elsewhere.close()
        for process in self._running():
            process.terminate()
        deadline = time.monotonic() + _GRACE_S
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()
        for pipe in self._open():
            pipe.close()


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Hold Ctrl-C back while the block runs; processes started in it never hear it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which would let it through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@console.hush_libraries()
def _enter(
    world: World,
    work: Callable[..., None],
    meeting: str,
    verbosity: int,
    pipe: Connection,
) -> None:
    """One process, from its first line to its last."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.dup2(2, 1)
    console.set_verbosity(verbosity if world.leads else _SILENT)
    share_memory(world.size)

    def ask(question: Any) -> Any:
        pipe.send(question)
        return pipe.recv()

    try:
        if world.leads:
            pipe.send(_Line.TAKEN)
        with console.working():
            arguments = pipe.recv()
            _join(world, meeting)
            work(world, ask, *arguments)
            dist.destroy_process_group()
        if world.leads:
            pipe.send(_Line.FREE)
    except (KeyboardInterrupt, Exception) as error:
        own = error if isinstance(error, FeatxError | OSError) else None
        if isinstance(own, OSError) and explain(own) is None:
            own = None
        kind = type(error).__name__
        text = "was asked to stop" if kind == "KeyboardInterrupt" else f"failed: {kind}: {error}"
        with suppress(OSError):
            pipe.send(_Failure(time.monotonic(), own, text, traceback.format_exc()))
        sys.exit(1)


def _join(world: World, meeting: str) -> None:
    """Meet the others."""
    if world.device.startswith("cuda"):
        torch.cuda.set_device(world.device)
    elif sys.platform.startswith("linux"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all are on this machine
    dist.init_process_group(
        _BACKEND[world.device.partition(":")[0]],
        store=dist.FileStore(meeting, world.size),
        rank=world.rank,
        world_size=world.size,
        timeout=_PATIENCE,
    )


def _end_with_parent() -> None:
    """End this process soon after the one that started it, whatever it waits for."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
