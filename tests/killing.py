"""A machine that dies at one file operation after the other, for whatever writes files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import featx.replacing
from featx.errors import FeatxError

OPERATIONS = (
    *("mkdir", "open", "write", "pwrite", "ftruncate", "fsync", "close"),
    *("rename", "replace", "unlink", "rmdir", "symlink"),
)


class Killed(BaseException):
    """The process is gone: no handler may do anything any more."""


class Machine:
    """Counts file operations and refuses all of them from the ``fatal``-th on.

    ``error`` None is a kill; else only the fatal operation fails, with that errno. Without
    ``exchange`` the file system cannot swap two folders in one step.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, fatal: int, error: int | None, *, exchange: bool
    ) -> None:
        self.count = 0
        self.fatal = fatal
        self.error = error
        self._open: set[int] = set()
        self._close = os.close
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))
        swap = featx.replacing.exchange if exchange else lambda a, b: False
        monkeypatch.setattr(featx.replacing, "exchange", self._counted("exchange", swap))

    def _counted(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if name == "open" and arguments[1] & (os.O_ACCMODE | os.O_CREAT) == os.O_RDONLY:
                return operation(*arguments, **options)
            self.count += 1
            if self.error is None and self.count >= self.fatal:
                if name == "write" and self.count == self.fatal:
                    operation(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise Killed
            if self.error is not None and self.count == self.fatal and name != "close":
                raise OSError(self.error, os.strerror(self.error))
            done = operation(*arguments, **options)
            if name == "open":
                self._open.add(done)
            elif name == "close":
                self._open.discard(arguments[0])
            return done

        return counted

    def bury(self) -> None:
        """What the kernel does with a process that was killed: its files, and locks, are closed."""
        for handle in self._open:
            self._close(handle)


def steps(
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[], Any],
    *,
    error: int | None = None,
    exchange: bool = True,
    at_least: int = 5,
) -> Iterator[bool]:
    """Act over and over, dying one operation later each time; yield whether it finished."""
    for fatal in range(1, 400):
        with monkeypatch.context() as patch:
            machine = Machine(patch, fatal, error, exchange=exchange)
            try:
                act()
                finished = machine.count < fatal
            except (Killed, OSError, FeatxError):
                finished = False
        machine.bury()
        yield finished
        if finished:
            assert fatal > at_least  # the shim did see the operations
            return
    raise AssertionError("this takes more than 400 operations")
