"""Output for people: data on stdout, messages and progress on stderr.

Progress bars appear only on a terminal that can redraw a line; nothing is in colour.
"""

from __future__ import annotations

import codecs
import datetime
import json
import logging
import os
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from featx.errors import OutputLostError
from featx.numbers import cell
from featx.system_errors import reason

__all__ = [
    "Progress",
    "at_end",
    "counted",
    "detail",
    "ending",
    "error",
    "first_few",
    "flush",
    "hush_libraries",
    "log",
    "out",
    "plural",
    "print_json",
    "progress",
    "set_verbosity",
    "table",
    "tell",
    "verbosity",
    "warn",
]

_verbosity = 0
_lock = threading.RLock()  # a signal's handler may speak while its own thread does
_last: dict[str, Callable[[str], None]] | None = None
_bar: Progress | None = None
_CLEAR = "\r\033[K"  # to the start of the line, and nothing on it
_REDRAW_S = 0.1


def set_verbosity(level: int) -> None:
    """Set how much is printed.

    -1 only warnings and errors, 0 the story, 1 details and tracebacks; -2 nothing, since another
    process prints the same.
    """
    global _verbosity
    _verbosity = level


def verbosity() -> int:
    """The level that `set_verbosity` set; 0 by default."""
    return _verbosity


def out(text: str) -> None:
    """Print data to stdout.

    Names that are not UTF-8 keep their bytes, and what its encoding lacks becomes an escape.

    Raises
    ------
    OutputLostError
        It is closed, full, or read by nobody any more.
    """
    with _lock:
        if _bar is not None:
            _to_terminal(_CLEAR)
        try:
            _write(text + "\n")
        except (OSError, ValueError) as error:  # ValueError: a stream that was closed
            raise OutputLostError(_why_lost(error)) from error


def flush() -> None:
    """Write out what stdout holds back; raises as `out` does."""
    with _lock:
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except (OSError, ValueError) as error:
            raise OutputLostError(_why_lost(error)) from error


def _write(text: str) -> None:
    if sys.stdout is None:
        raise ValueError("closed")
    sys.stdout.flush()
    data = text.encode(getattr(sys.stdout, "encoding", None) or "utf-8", _BYTES_OR_ESCAPES)
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(data.decode("utf-8", "backslashreplace"))
    else:
        buffer.write(data)
        buffer.flush()


def _why_lost(error: OSError | ValueError) -> str:
    if isinstance(error, BrokenPipeError):
        return "its reader has gone"
    return reason(error) if isinstance(error, OSError) else "it is closed"


def _bytes_or_escapes(error: UnicodeError) -> tuple[str | bytes, int]:
    """Undecodable bytes of a name as they are, other characters as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    parts = [
        bytes([ord(c) - 0xDC00])
        if "\udc80" <= c <= "\udcff"
        else _PLAIN.get(c, c).encode("ascii", "backslashreplace")
        for c in error.object[error.start : error.end]
    ]
    return b"".join(parts), error.end


#: What the tables are drawn with, where only ASCII can be.
_PLAIN = {"─": "-", "−": "-", "→": ">", "–": "-", "…": "...", "×": "x", "·": "-"}
_BYTES_OR_ESCAPES = "featx.bytes_or_escapes"
codecs.register_error(_BYTES_OR_ESCAPES, _bytes_or_escapes)


def print_json(document: Any) -> None:
    """Print a JSON document to stdout, indented, ASCII so that any name survives any pipe."""
    out(json.dumps(document, indent=2, allow_nan=False))


def log(message: str) -> None:
    """Tell the story of the run on stderr; silent under ``-q``."""
    if _verbosity >= 0:
        _say(message)


def detail(message: str) -> None:
    """Say something only ``-v`` asks for."""
    if _verbosity >= 1:
        _say(message)


def warn(message: str) -> None:
    """Say something that must be seen, even under ``-q``."""
    if _verbosity >= -1:
        _say(f"Warning: {message}")


def error(message: str) -> None:
    """Say why the command has failed; never silenced."""
    _say(f"Error: {message}")


def tell(message: str) -> None:
    """Say how the command ended; never silenced."""
    _say(message)


@contextmanager
def hush_libraries() -> Iterator[None]:
    """Make details of the warnings and log records of libraries while the block runs.

    They lose their lines of source. Which of them are raised as errors is left as it is.
    """
    before, warnings.showwarning = warnings.showwarning, _detail_of_warning
    root, handler = logging.getLogger(), _Details()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        warnings.showwarning = before


def _detail_of_warning(
    message: Warning | str, category: type[Warning], *of_its_source: Any, **more: Any
) -> None:
    detail(f"{category.__name__}: {message}")


class _Details(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record as a detail."""
        with suppress(Exception):  # of a record whose arguments do not fit its text
            detail(f"{record.name}: {record.getMessage()}")


@contextmanager
def ending() -> Iterator[None]:
    """Keep what `at_end` is given until the block ends, well or not, each sentence once."""
    global _last
    _last = {}
    try:
        yield
    finally:
        sentences, _last = _last, None
        for sentence, say in sentences.items():
            say(sentence)


def at_end(message: str, *, warning: bool) -> None:
    """Say something at the end of the command, where it is seen; at once where none runs."""
    say = warn if warning else log
    if _last is None:
        say(message)
    else:
        _last[message] = say


def _say(message: str) -> None:
    # A stderr that is closed or full must not end the work that is told of.
    with _lock, suppress(OSError, ValueError):
        if sys.stderr is not None:
            if _bar is not None:
                sys.stderr.write(_CLEAR)
            print(message.encode("utf-8", "backslashreplace").decode("utf-8"), file=sys.stderr)
            if _bar is not None:
                _bar.draw()


def counted(n: int, noun: str, verb: str = "") -> str:
    """``1 image``, ``3,409 images``; with a verb for both, ``is/are``, ``1 image is``.

    Parameters
    ----------
    n : int
    noun : str
        Its last word is made plural: ``classes``, ``copies``, ``images``.
    verb : str
        For one and for many, with a stroke between.
    """
    one, _, many = verb.partition("/")
    text = f"{n:,} {noun if n == 1 else plural(noun)}"
    return f"{text} {one if n == 1 else many}" if verb else text


def plural(noun: str) -> str:
    """``images``, ``classes``, ``copies``."""
    if noun.endswith(("s", "x", "ch", "sh")) and not noun.endswith("epoch"):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def first_few(names: Sequence[str], most: int) -> str:
    """``a, b, c and 4 more``: names for a sentence, no more than ``most`` of them."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table to stdout; numbers align right, one line per row whatever the width.

    Parameters
    ----------
    title : str
        Printed above the table; empty for none.
    columns : sequence of str
        Column heads.
    rows : sequence of sequence
        Cells; floats are shown with three decimals, None as an empty cell.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    right = [
        bool(rows) and all(isinstance(row[i], int | float | None) for row in rows)
        for i in range(len(columns))
    ]

    def line(values: Sequence[str]) -> str:
        padded = (
            value.rjust(width) if to_right else value.ljust(width)
            for value, width, to_right in zip(values, widths, right, strict=True)
        )
        return "  ".join(padded).rstrip()

    lines = [title] if title else []
    lines += [line(list(columns)), line(["─" * width for width in widths])]
    out("\n".join(lines + [line(row) for row in cells]))


def _cell(value: Any) -> str:
    return "" if value is None else cell(str(value) if isinstance(value, bool) else value)


class Progress:
    """A bar on the last line of a terminal, or nothing at all; see `progress`."""

    def __init__(self, total: int, label: str) -> None:
        self._total, self._label = total, label
        self._done, self._started, self._drawn = 0, time.monotonic(), 0.0

    def advance(self, n: int = 1) -> None:
        """Count ``n`` more steps as done."""
        with _lock:
            self._done += n
            if _bar is self and time.monotonic() - self._drawn >= _REDRAW_S:
                self.draw()

    def draw(self) -> None:
        """Show how far it is, how fast, and how long it will take."""
        self._drawn = time.monotonic()
        rate = self._done / max(self._drawn - self._started, 1e-9)
        text = f"{self._label} {self._done:,}/{self._total:,}"
        if self._done:
            left_s = round(max(self._total - self._done, 0) / rate)
            text += f", {rate:,.0f}/s, {datetime.timedelta(seconds=left_s)} left"
        columns = shutil.get_terminal_size().columns
        width = min(40, columns - len(text) - 4)
        if width >= 8:
            filled = width * min(self._done, self._total) // max(self._total, 1)
            text = f"{text} [{'#' * filled}{'.' * (width - filled)}]"
        _to_terminal(_CLEAR + text[: columns - 1])


def _to_terminal(text: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


@contextmanager
def progress(total: int, label: str) -> Iterator[Progress]:
    """Show a bar with rate and time left on stderr while the block runs.

    Silent under ``-q``, where stderr is not a terminal, and within another bar.
    """
    global _bar
    bar = Progress(total, label)
    terminal = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if _verbosity < 0 or not terminal or _bar is not None:
        yield bar
        return
    with _lock:
        _bar = bar
        bar.draw()
    try:
        yield bar
    finally:
        with _lock:
            _bar = None
            _to_terminal(_CLEAR)
