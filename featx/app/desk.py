"""A labelling as its page asks for it: images by number, decisions by step, state by revision."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featx import console
from featx.app.progress_words import progress_document
from featx.errors import UsageError
from featx.files import printable

if TYPE_CHECKING:
    from featx.labelling import LabelEvent, LabellingSession, LabelSuggestion

DECISIONS = ("label", "skip", "unsure", "exclude")
REASONS = {
    "random": "Drawn at random, so that the estimate is right.",
    "doubt": "The model is in doubt about it.",
    "spread": "It is unlike the images labelled so far, or typical of many.",
    "rare": "It may be of a rare class.",
    "similar": "It is like the images that you chose.",
}
N_SIMILAR = 48
MOST_SHARES = 5
LONGEST_NAME = 200


class ChangedMeanwhileError(UsageError):
    """Another page or process decided about an image since this one showed it."""

    def __init__(self, rows: Sequence[int], message: str) -> None:
        super().__init__(message)
        self.rows = list(rows)


@dataclass(frozen=True)
class _Standing:
    """What counts at one time.

    Parameters
    ----------
    n_events : int
        Lines of the file so far.
    decisions : mapping of str to LabelEvent
    classes : list of str
    """

    n_events: int
    decisions: Mapping[str, LabelEvent]
    classes: list[str]


class Desk:
    """One labelling, for any number of pages that are open on it.

    Parameters
    ----------
    session : LabellingSession
    n_unreadable : int, default=0
        Images of the folder that it does not have.
    """

    def __init__(self, session: LabellingSession, n_unreadable: int = 0) -> None:
        self._session, self._n_unreadable = session, n_unreadable
        self._row = {name: row for row, name in enumerate(session.ids)}
        self._lock = threading.RLock()  # of a decision: what is checked stays so until it is made
        self._suggested: dict[int, LabelSuggestion] = {}
        self._kept: _Standing | None = None
        self._measuring = threading.Lock()
        self._measured = 0  # how often
        self._labelled_then = 0
        self._progress = progress_document(session.progress())

    def standing(self) -> _Standing:
        """What counts now, with what other processes have added."""
        n_events = len(self._session.log.events())
        kept = self._kept
        if kept is None or kept.n_events != n_events:
            log = self._session.log
            kept = self._kept = _Standing(n_events, log.decisions(), log.classes())
        return kept

    def revision(self) -> str:
        """Differs whenever anything that `state` shows has changed."""
        return f"{self.standing().n_events}.{self._measured}"

    def state(self) -> dict[str, Any]:
        """Counts, classes and the progress when it was last measured."""
        standing = self.standing()
        counts = {"images": len(self._row), "unreadable": self._n_unreadable}
        counts |= dict.fromkeys(DECISIONS, 0)
        of = dict.fromkeys(standing.classes, 0)
        for name, event in standing.decisions.items():
            if name in self._row:
                counts[event.action] += 1
                if event.action == "label":
                    of[str(event.label)] = of.get(str(event.label), 0) + 1
        classes = [{"name": name, "n": n} for name, n in of.items()]
        return {
            "rev": self.revision(), "counts": counts, "classes": classes,
            "progress": self._progress,
        }  # fmt: skip

    def changed_since(self, revision: str) -> list[int]:
        """Images that were decided about since an earlier revision; none where it is no such."""
        first = revision.partition(".")[0]
        if not first.isdigit():
            return []
        events = self._session.log.events()
        new = events[int(first) :]
        undone = {event.undoes for event in new if event.action == "undo"}
        names = {event.id for event in new} | {e.id for e in events if e.step in undone}
        return sorted(self._row[name] for name in names if name in self._row)

    def items(self, rows: Collection[int]) -> list[dict[str, Any]]:
        """What the page shows of images; numbers that there are not are left out."""
        decisions = self.standing().decisions
        return [self._item(row, decisions) for row in rows if 0 <= row < len(self._row)]

    def _item(self, row: int, decisions: Mapping[str, LabelEvent]) -> dict[str, Any]:
        name = self._session.ids[row]
        event, suggested = decisions.get(name), self._suggested.get(row)
        item: dict[str, Any] = {
            "i": row, "id": printable(name), "d": event.action if event else None,
            "label": event.label if event else None, "mark": event.step if event else "",
        }  # fmt: skip
        if suggested is not None:
            item["reason"] = REASONS.get(suggested.reason, "")
            if suggested.y_pred is not None:
                shares = sorted(suggested.proba.items(), key=lambda pair: -pair[1])[:MOST_SHARES]
                item |= {"guess": suggested.y_pred, "p": suggested.proba[suggested.y_pred],
                         "shares": dict(shares)}  # fmt: skip
        return item

    def rows(self, show: str, named: str) -> list[int]:
        """Images by what was decided and by their names, in the folder's order.

        Parameters
        ----------
        show : str
            ``all``, ``undecided``, one of `DECISIONS`, or ``=`` and the name of a class.
        named : str
            What the file's name or folder holds; the case of letters plays no part.
        """
        decisions, named = self.standing().decisions, named.casefold()
        if show not in ("all", "undecided", *DECISIONS) and not show.startswith("="):
            raise UsageError(f"There is nothing to show as {show!r}.")

        def wanted(name: str) -> bool:
            event = decisions.get(name)
            if show == "all":
                return True
            if event is None:
                return show == "undecided"
            return event.action == show or (event.action == "label" and f"={event.label}" == show)

        return [row for name, row in self._row.items()
                if named in name.casefold() and wanted(name)]  # fmt: skip

    def next_batch(self) -> list[int]:
        """Fit the head on what is labelled, and choose the images to label next."""
        found = self._session.next_batch()
        self._measure_soon()  # the person goes on meanwhile
        return self._take(found)

    def similar(self, rows: Sequence[int]) -> list[int]:
        """Images that are not decided about yet, those most like some others first."""
        return self._take(self._session.similar(self._names(rows), N_SIMILAR))

    def decide(
        self, rows: Sequence[int], decision: str, label: str | None, marks: Sequence[str]
    ) -> str:
        """Note one decision about images, as one step; on the disk when this returns.

        Parameters
        ----------
        rows : sequence of int
        decision : str
            One of `DECISIONS`.
        label : str, optional
            The class; made where it is new.
        marks : sequence of str
            The step of the decision that the page showed for each image.

        Returns
        -------
        str
            The step.

        Raises
        ------
        ChangedMeanwhileError
            An image has been decided about since; nothing is noted.
        UsageError
            An image that there is not, or a name that no class can have.
        """
        names = self._names(rows)
        if not names or decision not in DECISIONS or len(marks) != len(names):
            raise UsageError("The request names no images, no decision or not what it showed.")
        with self._lock:
            decisions = self.standing().decisions
            now = [decisions.get(name) for name in names]
            changed = [k for k, e in enumerate(now) if (e.step if e else "") != marks[k]]
            if changed:
                raise _changed(names, now, rows, changed)
            if decision == "label":
                self._session.label(names, class_name(label))
            else:
                getattr(self._session, decision)(names)
            return self.standing().decisions[names[0]].step

    def undo(self, step: str | None) -> list[int]:
        """Take back a step, by default the last one that was not imported.

        Returns
        -------
        list of int
            Its images; none where there is nothing to take back.
        """
        with self._lock:
            standing = [e for e in self._session.log.standing() if e.chosen != "imported"]
            steps = dict.fromkeys(event.step for event in standing)
            if step is None and steps:
                step = next(reversed(steps))
            if step is None or step not in steps:
                return []
            self._session.log.undo(step)
            rows = (self._row.get(event.id) for event in standing if event.step == step)
            return [row for row in rows if row is not None]

    def measure(self) -> None:
        """Find out how far the labelling is; by one thread at a time."""
        with self._measuring:
            self._progress = progress_document(self._session.progress())
            self._labelled_then = self.standing().n_events
            self._measured += 1

    def measure_if_due(self) -> None:
        """`measure` in the background where as much as a batch was labelled since."""
        if self.standing().n_events - self._labelled_then >= self._session.batch:
            self._measure_soon()

    def _measure_soon(self) -> None:
        if not self._measuring.locked():
            threading.Thread(target=self._measure_quietly, daemon=True).start()

    def _measure_quietly(self) -> None:
        try:
            self.measure()
        except Exception as error:
            console.detail(f"The progress could not be measured: {error}")

    def _names(self, rows: Sequence[int]) -> list[str]:
        ids = self._session.ids
        if not all(isinstance(row, int) and 0 <= row < len(ids) for row in rows):
            raise UsageError("There is no such image.")
        return [ids[row] for row in dict.fromkeys(rows)]

    def _take(self, found: Sequence[LabelSuggestion]) -> list[int]:
        rows = [self._row[suggestion.id] for suggestion in found]
        self._suggested.update(zip(rows, found, strict=True))
        return rows


def class_name(given: object) -> str:
    """The name of a class as a person typed it, without what cannot be seen.

    Raises
    ------
    UsageError
        It is empty, too long, or holds what cannot be printed.
    """
    name = unicodedata.normalize("NFC", given).strip() if isinstance(given, str) else ""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"{printable(str(given))[:80]!r} cannot name a class: a name has 1 to {LONGEST_NAME} "
            "characters that can be printed."
        )
    return name


def _changed(
    names: Sequence[str],
    now: Sequence[LabelEvent | None],
    rows: Sequence[int],
    changed: Sequence[int],
) -> ChangedMeanwhileError:
    event = now[changed[0]]
    if event is None:
        what = "its earlier decision was undone"
    else:
        what = f"labelled {event.label!r}" if event.action == "label" else f"{event.action}"
    others = f", and {console.counted(len(changed) - 1, 'other')}" if len(changed) > 1 else ""
    return ChangedMeanwhileError(
        [rows[k] for k in changed],
        f"Nothing is changed: '{printable(names[changed[0]])}'{others} was decided about in "
        f"another window meanwhile ({printable(what)}). Decide again to replace that.",
    )
