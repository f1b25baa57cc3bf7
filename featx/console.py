"""What featx says to a person: data on stdout, messages and progress on stderr.

Progress bars appear only on a terminal. ``NO_COLOR`` and ``TERM=dumb`` are honoured by rich.
"""

from __future__ import annotations

import codecs
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from featx.errors import OutputLostError
from featx.system_errors import reason

__all__ = [
    "Progress",
    "at_end",
    "counted",
    "detail",
    "ending",
    "error",
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
_lock = threading.Lock()
_last: dict[str, Callable[[str], None]] | None = None


def set_verbosity(level: int) -> None:
    """Set how much is said: -1 only warnings and errors, 0 the story, 1 details and tracebacks; -2
    nothing, since another process says the same."""
    global _verbosity
    _verbosity = level


def verbosity() -> int:
    """The level that `set_verbosity` set; 0 by default."""
    return _verbosity


def out(text: str) -> None:
    """Print data to stdout; names that are not UTF-8 keep their bytes, and what its encoding lacks
    becomes an escape.

    Raises
    ------
    OutputLostError
        It is closed, full, or read by nobody any more.
    """
    with _lock:
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
_PLAIN = {"─": "-", "→": ">", "–": "-", "…": "...", "×": "x", "·": "-"}
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
    """While the block runs, warnings and log records of libraries are details, without their lines
    of source; which of them are raised as errors is left as it is.
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
            print(message.encode("utf-8", "backslashreplace").decode("utf-8"), file=sys.stderr)


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
    said = f"{n:,} {noun if n == 1 else plural(noun)}"
    return f"{said} {one if n == 1 else many}" if verb else said


def plural(noun: str) -> str:
    """``images``, ``classes``, ``copies``."""
    if noun.endswith(("s", "x", "ch", "sh")) and not noun.endswith("epoch"):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


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
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value)


class Progress(Protocol):
    """What `progress` yields."""

    def advance(self, n: int = 1) -> None:
        """Say that ``n`` more steps are done."""


class _Silent:
    def advance(self, n: int = 1) -> None:
        """Nothing to draw on."""


@contextmanager
def progress(total: int, label: str) -> Iterator[Progress]:
    """Show a bar with rate and time left on stderr while the block runs.

    Silent under ``-q`` and where stderr is not a terminal.
    """
    if _verbosity < 0 or sys.stderr is None or not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )

    class _Bar:
        def advance(self, n: int = 1) -> None:
            bars.advance(task, n)
            speed = bars.tasks[0].speed
            bars.update(task, rate=f"{speed:,.0f}/s" if speed else "")

    with bars:
        task = bars.add_task(label, total=total, rate="")
        yield _Bar()
