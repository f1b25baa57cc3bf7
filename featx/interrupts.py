"""Ctrl-C while a library computes what cannot be stopped: nobody waits for it.

A head that is fitted in a thread (libsvm, a network) comes back when it is done, which may be in a
minute. Whoever is interrupted leaves such threads behind; the command line then ends the process
with them. Where even the main thread is in the middle of such a computation, a second thread ends
the process in its place.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, NoReturn

GRACE_S = 1.0  # for Python's own way out
LAST_S = 0.3  # for threads that are about to end

_left: weakref.WeakSet[Future[Any]] = weakref.WeakSet()
_prompt = 0


class _Workers(ThreadPoolExecutor):
    """A pool that knows what it was asked for."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.asked: weakref.WeakSet[Future[Any]] = weakref.WeakSet()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(function, *args, **kwargs)
        self.asked.add(future)
        return future


@contextmanager
def workers(n: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are waited for when the block ends, unless it is interrupted.

    Parameters
    ----------
    n : int
        How many.
    """
    pool = _Workers(n)
    try:
        yield pool
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        _left.update(pool.asked)
        raise
    try:
        pool.shutdown()
    except BaseException:
        _left.update(pool.asked)
        raise


@contextmanager
def promptly() -> Iterator[None]:
    """Say that what is found in this block is on disk as soon as it is found.

    Nothing is lost where an interrupt ends the process at once (see `watching`).
    """
    global _prompt
    _prompt += 1
    try:
        yield
    finally:
        _prompt -= 1


@contextmanager
def watching(end: Callable[[], None]) -> Iterator[None]:
    """End the process soon after Ctrl-C (or SIGTERM) inside `promptly`, whatever it waits for.

    Python runs its handler of a signal when the main thread is back from what it computes; the
    signal itself is seen at once, by a thread of its own.

    Parameters
    ----------
    end : callable
        What to say before the process ends with code 130.
    """
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        yield
        return
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(read_end, end), name="featx-signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(write_end)  # which ends the thread


def _watch(read_end: int, end: Callable[[], None]) -> None:
    """Wait for a signal, then for Python's own way out, then no longer."""
    try:
        while signals := os.read(read_end, 64):
            if not {signal.SIGINT, signal.SIGTERM} & set(signals):
                continue
            time.sleep(GRACE_S)
            if _prompt:
                end()
                _end_now(130)
    finally:
        os.close(read_end)


def leave(code: int) -> NoReturn:
    """Exit with a code; without waiting for threads that were left behind."""
    _, busy = wait(list(_left), LAST_S)
    if busy:
        _end_now(code)
    sys.exit(code)


def _end_now(code: int) -> NoReturn:
    """As `os._exit`, with no message lost and no process left behind."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    import multiprocessing

    for child in multiprocessing.active_children():
        child.terminate()
    os._exit(code)
