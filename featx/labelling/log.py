"""The file of labels: one line of JSON for each decision, only ever added to.

A line is on the disk before `LabelLog.append` returns. A last line that a crash cut off is passed
over when the file is read and removed before the next line is added. Processes that label the same
folder wait for each other, so no line is lost: where two of them label one image, both lines stay
and the later one counts.
"""

from __future__ import annotations

import getpass
import json
import os
import threading
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from featx.appending import append_lines, is_object
from featx.errors import DatasetError
from featx.files import printable
from featx.parsing import parse_json
from featx.system_errors import writing

Action = Literal["label", "skip", "unsure", "exclude", "undo", "class"]
Chosen = Literal["random", "doubt", "spread", "rare", "similar", "manual", "imported"]

_FIELDS = ("id", "action", "label", "chosen", "batch", "who", "when", "step", "undoes")


@dataclass(frozen=True)
class LabelEvent:
    """One decision about one image, which is one line of the file.

    Parameters
    ----------
    id : str
        Of the image; empty for ``undo`` and ``class``.
    action : {"label", "skip", "unsure", "exclude", "undo", "class"}
        ``class`` names a class that may have no image yet.
    label : str, optional
        For ``label`` and ``class``.
    chosen : {"random", "doubt", "spread", "rare", "similar", "manual", "imported"}
        Why the image was shown.
    batch : int
        The number of the batch that it was shown in; 0 outside of one.
    who, when : str
        The user, and the time in UTC; filled in by `LabelLog.append` where empty.
    step : str
        Shared by the events that were appended together, and taken back together.
    undoes : str
        For ``undo``, the step that is taken back.
    """

    id: str
    action: Action
    label: str | None = None
    chosen: Chosen = "manual"
    batch: int = 0
    who: str = ""
    when: str = ""
    step: str = ""
    undoes: str = ""

    def line(self) -> bytes:
        """As it is written; names that are no UTF-8 are kept as escapes."""
        values = {k: v for k, v in asdict(self).items() if k == "id" or v not in ("", None)}
        return json.dumps(values).encode("ascii") + b"\n"


class LabelLog:
    """The decisions of one labelling, kept in a file.

    Parameters
    ----------
    path : path, optional
        A ``.jsonl`` file; it need not exist. None keeps the events in memory alone.
    who : str, optional
        Written with every event. Default None is the name of the user.

    Raises
    ------
    DatasetError
        The file is something else than a file of labels.

    Notes
    -----
    Threads and processes may append at the same time.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, who: str | None = None) -> None:
        self.path = None if path is None else Path(path).absolute()
        self.who = _user() if who is None else who
        self._guard = threading.Lock()
        self._events: list[LabelEvent] = []
        self._read_bytes = 0
        self._identity: tuple[int, int] | None = None
        self._refresh()

    def append(self, events: Iterable[LabelEvent]) -> str:
        """Add events as one step and wait until they are on the disk.

        Returns
        -------
        str
            The step, which `undo` takes back.

        Raises
        ------
        OSError
            The file cannot be written, or another process holds it for half a minute; none of the
            events counts.
        """
        step, now = uuid.uuid4().hex[:16], datetime.now(UTC).isoformat(timespec="milliseconds")
        stamped = [replace(e, who=e.who or self.who, when=e.when or now, step=step) for e in events]
        if not stamped:
            return step
        for event in stamped:
            _check(event)
        with self._guard:
            if self.path is None:
                self._events += stamped
                return step
            with writing("the labels", self.path, kept="All earlier labels are kept."):
                append_lines(self.path, b"".join(event.line() for event in stamped))
        return step

    def undo(self, step: str) -> None:
        """Take a step back; what counted before it counts again."""
        self.append([LabelEvent("", "undo", undoes=step)])

    def events(self) -> list[LabelEvent]:
        """All lines of the file in their order, also those of other processes."""
        with self._guard:
            self._refresh()
            return list(self._events)

    def standing(self) -> list[LabelEvent]:
        """The events that were not taken back, in their order."""
        events = self.events()
        undone = {event.undoes for event in events if event.action == "undo"}
        return [e for e in events if e.action != "undo" and e.step not in undone]

    def decisions(self) -> dict[str, LabelEvent]:
        """The last event of each image that was not taken back."""
        return {event.id: event for event in self.standing() if event.action != "class"}

    def labels(self) -> dict[str, str]:
        """Image id to its label now; without images that were skipped, unsure or excluded."""
        return {
            id: event.label
            for id, event in self.decisions().items()
            if event.action == "label" and event.label is not None
        }

    def classes(self) -> list[str]:
        """The classes in the order in which they were first named."""
        named = [e.label for e in self.standing() if e.action in ("label", "class") and e.label]
        return list(dict.fromkeys(named))

    def _refresh(self) -> None:
        """Read what was added since; all of it where the file was replaced."""
        if self.path is None:
            return
        try:
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                identity = (stat.st_dev, stat.st_ino)
                if identity != self._identity or stat.st_size < self._read_bytes:
                    self._events, self._read_bytes, self._identity = [], 0, identity
                file.seek(self._read_bytes)
                data = file.read()
        except FileNotFoundError:
            self._events, self._read_bytes, self._identity = [], 0, None
            return
        whole, torn = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
        if torn and is_object(torn):  # whole, but for its newline: a person wrote it
            whole = data
        self._events += self._parsed(whole)
        self._read_bytes += len(whole)

    def _parsed(self, data: bytes) -> list[LabelEvent]:
        first = len(self._events) + 1
        return [
            self._event(line, number)
            for number, line in enumerate(data.splitlines(), first)
            if line.strip()
        ]

    def _event(self, line: bytes, number: int) -> LabelEvent:
        try:
            values = parse_json(line)
            if not isinstance(values, dict):
                raise ValueError("it is no object")
            event = LabelEvent(**{name: values[name] for name in _FIELDS if name in values})
            _check(event)
        except (ValueError, TypeError) as error:
            raise DatasetError(
                f"'{printable(str(self.path))}' is not a file of labels: line {number} "
                f"cannot be read ({printable(str(error))}).",
                hint="Name another file with --log; this one is left as it is.",
            ) from None
        return event


def _check(event: LabelEvent) -> None:
    """ValueError for what no event is."""
    texts = (event.id, event.chosen, event.who, event.when, event.step, event.undoes)
    if not all(isinstance(text, str) for text in texts) or isinstance(event.batch, bool):
        raise ValueError("a field has the wrong type")
    if not isinstance(event.batch, int) or not isinstance(event.label, str | None):
        raise ValueError("a field has the wrong type")
    if event.action not in get_args(Action):
        raise ValueError(f"the action is {event.action!r}")
    if event.chosen not in get_args(Chosen):
        raise ValueError(f"chosen is {event.chosen!r}")
    if event.action in ("label", "class") and not (event.label and event.label.strip()):
        raise ValueError(f"a {event.action} needs a name")
    if event.action == "undo" and not event.undoes:
        raise ValueError("an undo needs the step that it takes back")
    if event.action in ("label", "skip", "unsure", "exclude") and not event.id:
        raise ValueError(f"a {event.action} needs the id of an image")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
