"""Output for people: results on stdout, messages and progress on stderr.

Lines are as wide as the terminal, and errors, warnings and the chosen row in colour, where there
is one; what goes into pipes and files is plain and has one line a row.
"""

from __future__ import annotations

import codecs
import json
import logging
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from featx import progress as _progress
from featx.errors import OutputLostError
from featx.numbers import cell
from featx.progress import Progress
from featx.system_errors import reason
from featx.terminal import columns_of, fitted_table, is_terminal, painted, wrapped

T = TypeVar("T")

_verbosity = 0
_last: dict[str, Callable[[str], None]] | None = None
_printed_once: set[str] = set()


def set_verbosity(level: int) -> None:
    """Set how much is printed.

    -1 only errors, 0 results and the story, 1 details and tracebacks too; -2 nothing, since another
    process prints the same.
    """
    global _verbosity
    _verbosity = level
    _progress.silence(level < 0)


def verbosity() -> int:
    """The level that `set_verbosity` set; 0 by default."""
    return _verbosity


def out(text: str) -> None:
    """Print to stdout what was asked for by name, such as JSON or a script, at any verbosity.

    Names that are not UTF-8 keep their bytes, and what its encoding lacks becomes an escape.

    Raises
    ------
    OutputLostError
        It is closed, full, or read by nobody any more.
    """
    with _progress.write_above():
        try:
            _write(text + "\n")
        except (OSError, ValueError) as error:  # ValueError: a stream that was closed
            raise OutputLostError(_why_lost(error)) from error


def text(message: str) -> None:
    """Print a result for a person to stdout; nothing under ``-q``. Raises as `out` does."""
    if _verbosity >= 0:
        out(wrapped(message, sys.stdout))


def flush() -> None:
    """Write out what stdout holds back; raises as `out` does."""
    with _progress.lock:
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
        return "its reader has exited"
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


def once(message: str, full: str) -> None:
    """Tell a fact of the whole command, once whichever of its steps tell it.

    ``full`` under ``-v``.
    """
    if message not in _printed_once:
        _printed_once.add(message)
        log(full if _verbosity >= 1 else message)


def warn(message: str) -> None:
    """Say something that should be seen; silent under ``-q``."""
    if _verbosity >= 0:
        _say(f"Warning: {message}", "warning")


def error(message: str) -> None:
    """Say why the command has failed; never silenced."""
    _say(f"Error: {message}", "error")


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
    _printed_once.clear()
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


def _say(message: str, kind: str = "") -> None:
    """Print on stderr; the word before the first colon in the colour of ``kind``."""
    # A stderr that is closed or full must not end the work that is told of.
    with suppress(OSError, ValueError), _progress.write_above():
        if sys.stderr is None:
            return
        shown = wrapped(message.encode("utf-8", "backslashreplace").decode("utf-8"), sys.stderr)
        if kind:
            word, colon, rest = shown.partition(":")
            shown = painted(word + colon, kind, sys.stderr) + rest
        print(shown, file=sys.stderr)


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
    """Print a table to stdout; nothing under ``-q``.

    Numbers align right. On a terminal it fits into the width, elsewhere it has one line a row
    whatever the width. A row whose first cell begins with an arrow is the chosen one.

    Parameters
    ----------
    title : str
        Printed above the table; empty for none.
    columns : sequence of str
        Column heads.
    rows : sequence of sequence
        Cells; floats are shown with three decimals, None as an empty cell.
    """
    if _verbosity < 0:
        return
    right = [
        bool(rows) and all(isinstance(row[i], int | float | None) for row in rows)
        for i in range(len(columns))
    ]
    width = columns_of(sys.stdout) if is_terminal(sys.stdout) else None
    cells = [[_cell(value) for value in row] for row in rows]
    found = [] if not title else [wrapped(title, sys.stdout)]
    for lines in fitted_table(columns, cells, right, width):
        chosen = lines[0].startswith("→")
        found += [painted(line, "chosen", sys.stdout) if chosen else line for line in lines]
    out("\n".join(found))


def _cell(value: Any) -> str:
    return "" if value is None else cell(str(value) if isinstance(value, bool) else value)


@contextmanager
def progress(total: int | None, label: str) -> Iterator[Progress]:
    """Show on stderr how far the block is, how fast it is, and how long it will take.

    Silent under ``-q`` and where stderr is no terminal; see `featx.progress`.
    """
    bar = Progress(total, label)
    with _progress.shown(bar):
        yield bar


def each(items: Collection[T], label: str) -> Iterator[T]:
    """The items, one after the other, with a bar that counts those that are done."""
    with progress(len(items), label) as bar:
        for item in items:
            yield item
            bar.advance()


@contextmanager
def stage(label: str) -> Iterator[None]:
    """Show on stderr what the block does and how long it has taken."""
    with progress(None, label):
        yield


@contextmanager
def working() -> Iterator[None]:
    """Show on stderr that the command is at work, wherever nothing better is shown."""
    with _progress.shown(Progress(None, "Working", backdrop=True)):
        yield


@contextmanager
def elsewhere() -> Iterator[None]:
    """While the block waits for another process that draws on the same terminal, draw nothing."""
    _progress.silence(True)
    try:
        yield
    finally:
        _progress.silence(_verbosity < 0)
