"""A finished run as its page asks for it: images by number, filtered, with decisions about them."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.app.corrections_file import CorrectionsFile, Made
from featx.app.desk import ChangedMeanwhileError, class_name
from featx.errors import UsageError
from featx.files import printable
from featx.reporting.contents import Subject


class RunDesk:
    """The evaluated images of a run.

    Parameters
    ----------
    subject : Subject
    paths : mapping of str to str
        Id -> file of each image that is still there.
    corrections : CorrectionsFile

    Attributes
    ----------
    rows : ndarray of shape (n,), int64
        Row of the subject's predictions for each image, one row a file; images are numbered by it.
    paths : list of str
        File of each number; beyond ``rows``, of training images that were not evaluated.
    """

    def __init__(
        self, subject: Subject, paths: Mapping[str, str], corrections: CorrectionsFile
    ) -> None:
        self.subject, self.corrections = subject, corrections
        self._lock = threading.Lock()
        self.rows: NDArray[np.int64] = np.flatnonzero(subject.repeat == 0)
        self.ids = [subject.ids[row] for row in self.rows]
        self._y_true, self._y_pred = subject.y[self.rows], subject.y_pred[self.rows]
        proba = subject.proba[self.rows]
        self._p = proba[np.arange(len(self.rows)), self._y_pred]
        self._p_true = proba[np.arange(len(self.rows)), np.maximum(self._y_true, 0)]
        self._fold = subject.fold[self.rows]
        self.number = {name: i for i, name in enumerate(self.ids)}
        self.paths = [paths.get(name, "") for name in self.ids]
        for name, path in paths.items():
            if name not in self.number:
                self.number[name] = len(self.paths)
                self.paths.append(path)

    def state(self) -> dict[str, Any]:
        """Counts and classes, and the file of the decisions."""
        wrong = int((self._y_true != self._y_pred).sum())
        counts = np.bincount(self._y_true[self._y_true >= 0], minlength=len(self.subject.classes))
        classes = [{"name": name, "n": int(n)}
                   for name, n in zip(self.subject.classes, counts, strict=True)]  # fmt: skip
        return {
            "n": len(self.rows), "wrong": wrong, "classes": classes,
            "folds": sorted({int(f) for f in self._fold if f >= 0}),
            "decisions": len(self.corrections), "file": printable(str(self.corrections.path)),
        }  # fmt: skip

    def items(self, numbers: Collection[int]) -> list[dict[str, Any]]:
        """What the page shows of images; numbers that there are not are left out."""
        return [self._item(i) for i in numbers if 0 <= i < len(self.rows)]

    def _item(self, i: int) -> dict[str, Any]:
        classes, name = self.subject.classes, self.ids[i]
        group, _ = self.subject.known.get(name, (None, ""))
        made = self.corrections.of(name)
        return {
            "i": i, "id": printable(name), "y": classes[self._y_true[i]],
            "y_pred": classes[self._y_pred[i]], "p": float(self._p[i]),
            "p_true": float(self._p_true[i]), "fold": int(self._fold[i]), "group": group,
            "d": made[0].decision if made else None, "label": made[0].value if made else None,
            "with": next((m.value for m in made if m.decision == "group"), None),
            "mark": self.corrections.mark(name),
        }  # fmt: skip

    def found(self, query: Mapping[str, str]) -> list[int]:
        """Images that a filter lets through.

        Parameters
        ----------
        query : mapping of str to str
            ``show`` (``wrong``, ``right``, ``decided``, else all), ``y`` and ``y_pred`` (names of
            classes), ``low`` and ``high`` (confidence from 0 to 1), ``fold``, ``named`` (what the
            id or group holds), ``order`` (``sure``, ``unsure``, ``name``). What is missing or empty
            lets everything through.
        """
        code = {name: i for i, name in enumerate(self.subject.classes)}
        wrong = self._y_true != self._y_pred
        keep = {"wrong": wrong, "right": ~wrong}.get(
            query.get("show", ""), np.ones(len(wrong), bool)
        )
        for name, values in (("y", self._y_true), ("y_pred", self._y_pred)):
            if query.get(name):
                keep = keep & (values == code.get(query[name], -1))
        keep = keep & (self._p >= _number(query, "low", 0)) & (self._p <= _number(query, "high", 1))
        if query.get("fold"):
            keep = keep & (self._fold == int(_number(query, "fold", -1)))
        found = np.flatnonzero(keep)
        order = query.get("order", "sure")
        if order in ("sure", "unsure"):
            found = found[
                np.argsort(self._p[found] * (-1 if order == "sure" else 1), kind="stable")
            ]
        numbers: list[int] = found.tolist()
        if order == "name":
            numbers.sort(key=lambda i: self.ids[i])
        if query.get("show") == "decided":
            numbers = [i for i in numbers if self.corrections.of(self.ids[i])]
        named = query.get("named", "").casefold()
        return [i for i in numbers if self._holds(i, named)] if named else numbers

    def _holds(self, i: int, named: str) -> bool:
        group, _ = self.subject.known.get(self.ids[i], (None, ""))
        return named in self.ids[i].casefold() or named in (group or "").casefold()

    def decide(
        self, numbers: Sequence[int], decision: str, value: object, marks: Sequence[str]
    ) -> None:
        """Note one decision about images; in the file when this returns.

        Parameters
        ----------
        numbers : sequence of int
        decision : str
            As in docs/corrections.md, or ``none``, which takes decisions back.
        value : str
            Of ``relabel`` the class, of ``group`` what the images belong with.
        marks : sequence of str
            What the page showed of each image.

        Raises
        ------
        ChangedMeanwhileError
            Another page decided about an image since; nothing is noted.
        UsageError
            An image that there is not, or a decision or name that cannot be.
        """
        known = all(0 <= i < len(self.rows) for i in numbers)
        if not known or not numbers or len(marks) != len(numbers):
            raise UsageError("The request names no images of the run, or not what it showed.")
        if decision not in ("right", "relabel", "exclude", "group", "none"):
            raise UsageError(f"There is no decision {printable(decision)!r}.")
        names = [self.ids[i] for i in numbers]
        text = class_name(value) if decision in ("relabel", "group") else ""
        with self._lock:  # what is checked stays so until the decision is made
            self._refuse_changed(numbers, marks)
            if decision == "none":
                self.corrections.set((), names)
            else:
                self.corrections.set(self._made(i, decision, text) for i in numbers)

    def _refuse_changed(self, numbers: Sequence[int], marks: Sequence[str]) -> None:
        changed = [
            i for i, mark in zip(numbers, marks, strict=True)
            if self.corrections.mark(self.ids[i]) != mark
        ]  # fmt: skip
        if changed:
            raise ChangedMeanwhileError(
                changed,
                f"Nothing is changed: '{printable(self.ids[changed[0]])}' was decided about in "
                "another window meanwhile. Decide again to replace that.",
            )

    def _made(self, i: int, decision: str, value: str) -> Made:
        _, sha256 = self.subject.known.get(self.ids[i], (None, ""))
        label = self.subject.classes[self._y_true[i]]
        return Made(self.ids[i], sha256, label, decision, value)


def _number(query: Mapping[str, str], name: str, otherwise: float) -> float:
    try:
        return float(query[name]) if query.get(name) else otherwise
    except ValueError:
        raise UsageError(f"{name} is {printable(query[name])!r}; it is a number.") from None
