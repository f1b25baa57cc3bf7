"""What moves on the last line of a terminal while work goes on: counts, rate and time left.

A thread draws the line again and again, so that it moves also where one step takes minutes. Bars
lie in each other: a search in a fit, an epoch in a fold. The innermost one that has lasted a moment
is shown, after the names of those around it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from featx.terminal import columns_of, is_terminal

CLEAR = "\r\033[K"  # to the start of the line, and nothing on it
REDRAW_S = 0.1  # at least, between two drawings
TICK_S = 0.5  # at most, between two drawings
DELAY_S = 0.4  # what is over sooner is not shown
BACKDROP_S = 1.0
BAR_WIDTH = 8, 40

lock = threading.RLock()  # a signal's handler may speak while its own thread does
now = time.monotonic
_open: list[Progress] = []
_ended = threading.Event()
_drawn_at = 0.0
_on_screen = False
_silent = False


class Progress:
    """Work that goes on: its name and, where they can be counted, its steps.

    Parameters
    ----------
    total : int or None
        Steps; None where they cannot be counted.
    label : str
    backdrop : bool, default False
        Shown only where nothing else is for `BACKDROP_S`.
    """

    def __init__(self, total: int | None, label: str, *, backdrop: bool = False) -> None:
        self.total, self.label, self.backdrop = total, label, backdrop
        self.done, self.started = 0, now()

    def visible(self, at: float) -> bool:
        """Whether it has lasted long enough to be shown."""
        return at - self.started >= (BACKDROP_S if self.backdrop else DELAY_S)

    def advance(self, n: int = 1) -> None:
        """Count ``n`` more steps as done."""
        with lock:
            self.done += n
            if self in _open and _rested():
                draw()

    def place(self) -> str:
        """Its name and how far it is."""
        if not self.total:
            return self.label
        return f"{self.label} {self.done:,}/{self.total:,}"

    def words(self, at: float) -> str:
        """Name, how far it is, how fast, and how long it will take."""
        elapsed_s = max(at - self.started, 1e-9)
        if not self.total or not self.done:
            return f"{self.place()}, {_clock(elapsed_s)} so far"
        rate = self.done / elapsed_s
        left_s = max(self.total - self.done, 0) / rate
        speed = f"{rate:,.0f}/s" if rate >= 2 else f"{1 / rate:,.1f} s each"
        return f"{self.place()}, {speed}, {_clock(left_s)} left"


def _clock(seconds: float) -> str:
    """``0:07``, ``12:34``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def silence(silent: bool) -> None:
    """Whether nothing is drawn from now on."""
    global _silent
    with lock:
        _silent = silent
        _erase()


@contextmanager
def shown(bar: Progress) -> Iterator[None]:
    """Show ``bar`` on stderr while the block runs, where that is a terminal that can redraw."""
    if not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        yield
        return
    with lock:
        _open.append(bar)
        first = len(_open) == 1
        if _rested():
            draw()
    if first:
        _ended.clear()
        ticker = threading.Thread(target=_tick, name="featx-progress", daemon=True)
        ticker.start()
    try:
        yield
    finally:
        with lock:
            if bar.backdrop:
                _open.clear()  # also what an error left open
            elif bar in _open:
                _open.remove(bar)
            _erase()
            last = not _open
        if last:
            _ended.set()


def _tick() -> None:
    while not _ended.wait(TICK_S):
        with lock:
            if _rested():
                draw()


def _rested() -> bool:
    """Whether the last drawing is long enough ago for the next."""
    return now() - _drawn_at >= REDRAW_S


def draw() -> None:
    """Draw the line as it is now."""
    global _drawn_at, _on_screen
    at = _drawn_at = now()
    visible = [bar for bar in _open if bar.visible(at)]
    if not visible or _silent:
        return
    columns = columns_of(sys.stderr)
    innermost = visible[-1]
    text = innermost.words(at)
    for bar in reversed(visible[:-1]):
        longer = f"{bar.place()} · {text}"
        if not bar.backdrop and len(longer) < columns:
            text = longer
    if innermost.total:
        width = min(BAR_WIDTH[1], columns - len(text) - 4)
        if width >= BAR_WIDTH[0]:
            filled = width * min(innermost.done, innermost.total) // innermost.total
            text = f"{text} [{'#' * filled}{'.' * (width - filled)}]"
    _to_terminal(CLEAR + text[: columns - 1])
    _on_screen = True


def _erase() -> None:
    global _on_screen
    if _on_screen:
        _to_terminal(CLEAR)
        _on_screen = False


@contextmanager
def write_above() -> Iterator[None]:
    """Take the line away while the block prints, and draw it again below."""
    with lock:
        again = _on_screen
        _erase()
        yield
        if again:
            draw()


def _to_terminal(text: str) -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _forget() -> None:
    """In a process that was forked: its parent draws, and may have held the lock."""
    global lock, _on_screen
    lock = threading.RLock()
    _open.clear()
    _on_screen = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
