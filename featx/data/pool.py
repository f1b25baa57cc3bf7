"""One function on many files, in threads, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from featx import console
from featx.machine import cpu_cores

T = TypeVar("T")

_BATCH = 4096  # futures waiting at once, so that a million files need no million of them


def map_files(
    function: Callable[[str], T], paths: Sequence[str], *, label: str, workers: int | None = None
) -> list[T]:
    """Call ``function`` on each path, in threads.

    Parameters
    ----------
    function : callable
        Raises nothing.
    paths : sequence of str
    label : str
        Label of the progress bar.
    workers : int, optional
        Threads. Default: the CPU cores.
    """
    found: list[T] = []
    with (
        ThreadPoolExecutor(workers or cpu_cores(), "featx-files") as pool,
        console.progress(len(paths), label) as bar,
    ):
        for start in range(0, len(paths), _BATCH):
            for result in pool.map(function, paths[start : start + _BATCH]):
                found.append(result)
                bar.advance()
    return found
