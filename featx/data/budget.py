"""How many decoded pixels are in memory at once, over all threads of this process.

What an image needs is known from its header. A thread that would go beyond the budget waits until
others have let go of theirs; an image that is larger than the budget waits until it is alone.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from featx.machine import cpu_cores, memory_bytes

_SHARE = 0.4  # of the memory that is free when the first image is decoded
_ENOUGH_BYTES = 2 << 30  # more would not be faster,
_CORE_BYTES = 128 << 20  # unless many cores decode photographs
_LARGE_BYTES = 64 << 20
_LEAST_BYTES = 128 << 20


class PixelBudget:
    """A number of bytes that threads take from and give back, served in the order they ask.

    Parameters
    ----------
    size_bytes : int
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.taken_bytes = 0
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._mine = threading.local()

    @contextmanager
    def room(self, size_bytes: int) -> Iterator[None]:
        """Wait for so many bytes, and give them back, at the latest, when `keep_pixels` ends.

        A thread that holds some is given more at once: two such threads would wait for each other.
        """
        held: list[int] | None = getattr(self._mine, "held", None)
        self._take(size_bytes, wait=not held)
        if held is not None:
            held.append(size_bytes)
            yield
            return
        try:
            yield
        finally:
            self._give(size_bytes)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Hold what this thread takes until the end: its pixels are still in use."""
        if getattr(self._mine, "held", None) is not None:
            yield
            return
        held: list[int] = []
        self._mine.held = held
        try:
            yield
        finally:
            self._mine.held = None
            self._give(sum(held))

    def _take(self, size_bytes: int, *, wait: bool) -> None:
        with self._changed:
            if wait:
                me = object()
                self._queue.append(me)
                try:
                    # First come, first served: a large image would else wait for ever.
                    self._changed.wait_for(lambda: self._queue[0] is me and self._fits(size_bytes))
                finally:
                    self._queue.remove(me)
                    self._changed.notify_all()
            self.taken_bytes += size_bytes

    def _fits(self, size_bytes: int) -> bool:
        return self.taken_bytes == 0 or self.taken_bytes + size_bytes <= self.size_bytes

    def _give(self, size_bytes: int) -> None:
        if size_bytes >= _LARGE_BYTES:
            _trim()
        with self._changed:
            self.taken_bytes -= size_bytes
            self._changed.notify_all()


def _trim() -> None:
    """Have the C library give freed memory back, which it would keep for each thread.

    Pillow's blocks of 16 MB stay in glibc's arenas: as many images as there are threads.
    """
    with suppress(OSError, AttributeError):  # other libraries keep none, or have no such function
        ctypes.CDLL(None).malloc_trim(0)


_lock = threading.Lock()
_budget: PixelBudget | None = None
_processes = 1


def share_memory(processes: int) -> None:
    """Say that so many processes of this machine decode at once, before any of them does."""
    global _processes
    _processes = max(1, processes)


def pixel_budget() -> PixelBudget:
    """The budget of this process, measured when it is first needed."""
    global _budget
    with _lock:
        if _budget is None:
            enough = max(_ENOUGH_BYTES, cpu_cores() * _CORE_BYTES)
            size = min(int(_SHARE * memory_bytes()), enough) // _processes
            _budget = PixelBudget(max(_LEAST_BYTES, size))
        return _budget


def keep_pixels() -> AbstractContextManager[None]:
    """While in this context, decoded images count against the budget until it ends.

    For whoever goes on working with an image after it is decoded.
    """
    return pixel_budget().kept()
