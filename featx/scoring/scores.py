"""What `featx.score` returns: one row per file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from featx.artifact.decision import Cutoff
from featx.artifact.tabular import ColumnRead
from featx.artifact.trust import Trust
from featx.data.manifest import Passed
from featx.data.passed import count_kinds
from featx.extraction import require_all, require_any
from featx.files import printable
from featx.formats._frame import to_frame
from featx.scoring.checks import Check, drift_found, drift_sentence, raise_alarms
from featx.types import Failure

MOST_COUNTED = 8  # classes, in the short form


@dataclass(frozen=True)
class Scores:
    """Predictions for every file, in the manifest's order.

    Attributes
    ----------
    ids : list of str
        Path of each file relative to the images' folder.
    classes : list of str
        The model's classes: the columns of ``probabilities``.
    predictions : ndarray of shape (n_files,), object
        Predicted class, None where the file could not be read.
    probabilities : ndarray of shape (n_files, n_classes), float64
        In [0, 1]; a row of NaN where the file could not be read.
    failures : list of Failure
        Files that could not be read, each with its reason.
    passed : tuple of Passed
        Files of other kinds beside the images; they have no rows unless ``all_files`` is set.
    passed_over : dict of str to int
        Reason -> how many files, folders or repeated rows are no rows.
    all_files : bool
        Whether `rows` ends with one row for each file of ``passed``, with its reason.
    report : dict
        Counts and times of the extraction.
    averaged : dict or None
        Augmented views of each file that ``probabilities`` are means over, beside the file itself:
        ``n_views`` and ``augmentation``; None where they are of the files alone.
    sets : ndarray of shape (n_files, n_classes), bool, or None
        Classes in each file's prediction set; None where the model has no sets.
    abstained : ndarray of shape (n_files,), bool, or None
        Whether the set holds several classes, or no class reaches its threshold (the set then
        holds the predicted one alone), or the class is less likely than was asked for; None where
        the model has no sets and nothing was asked for.
    ood_scores : ndarray of shape (n_files,), float64, or None
        Out-of-distribution scores; None where the model has none.
    ood : ndarray of shape (n_files,), bool, or None
        Whether they are above the model's limit.
    top_k : int
        How many of the best classes a row names.
    proba : bool
        Whether a row holds every class's probability.
    output : str or None
        File that the rows were written to.
    sorted_into : dict of str to int
        Files placed in each folder by ``sort_into``.
    page : str or None
        File of the page that ``report`` asked for.
    cutoff : Cutoff or None
        By which a class was decided for; `columns` then have its probability and the cutoff.
    threshold : dict or None
        The threshold that was in force, and what it achieves: see ``trust.decision`` in
        ``docs/runs.md``.
    drift : dict or None
        Whether the images are like the training images; None where that cannot be tested.
    no_drift : str
        Why it cannot.
    checks : tuple of Check
        Shares of files that could not be read, of images abstained from and out of distribution,
        each beside what is usual for the training images.
    trust : Trust or None
        What the model says of its own answers.
    groups : GroupScores or None
        One row for each group of images, where ``by_group`` asks for them.
    columns_read : tuple of ColumnRead
        Other columns that the model takes, with what could not be used of them.
    """

    ids: list[str]
    classes: list[str]
    predictions: np.ndarray
    probabilities: np.ndarray
    failures: list[Failure]
    report: dict[str, Any]
    passed: tuple[Passed, ...] = ()
    passed_over: dict[str, int] = field(default_factory=dict)
    all_files: bool = False
    averaged: dict[str, Any] | None = None
    sets: np.ndarray | None = None
    abstained: np.ndarray | None = None
    ood_scores: np.ndarray | None = None
    ood: np.ndarray | None = None
    top_k: int = 1
    proba: bool = False
    output: str | None = None
    sorted_into: dict[str, int] | None = None
    page: str | None = None
    cutoff: Cutoff | None = None
    threshold: dict[str, Any] | None = None
    drift: dict[str, Any] | None = None
    no_drift: str = ""
    checks: tuple[Check, ...] = ()
    trust: Trust | None = field(default=None, repr=False)
    groups: Scores | None = None
    columns_read: tuple[ColumnRead, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        counts = [f"{printable(name)} {n:,}" for name, n in self.counts().items() if n]
        more = ", ..." if len(counts) > MOST_COUNTED else ""
        unread = f", {len(self.failures):,} not read" if self.failures else ""
        return f"Scores of {len(self):,} images{unread}: {', '.join(counts[:MOST_COUNTED])}{more}"

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of `rows`; needs the extra ``pandas``."""
        return to_frame(self.columns, self.rows())

    @cached_property
    def y_pred(self) -> np.ndarray:
        """Index of each file's predicted class, shape (n_files,), int64; -1 where none is."""
        position = {name: i for i, name in enumerate(self.classes)}
        return np.array([position.get(label, -1) for label in self.predictions], np.int64)

    @property
    def unsure(self) -> np.ndarray:
        """Whether a prediction is not to be relied on: abstained, or out of distribution."""
        flags = [flag for flag in (self.abstained, self.ood) if flag is not None]
        return np.any(flags, axis=0) if flags else np.zeros(len(self), bool)

    @property
    def columns(self) -> list[str]:
        """Names of the cells of one row."""
        names = [self.row_name, "prediction", "probability"]
        for k in range(2, self.top_k + 1):
            names += [f"prediction_{k}", f"probability_{k}"]
        if self.proba:
            names += [f"p_{name}" for name in self.classes]
        elif self.cutoff is not None:
            names.append(f"p_{self.classes[self.cutoff.column]}")
        if self.cutoff is not None:
            names.append("cutoff")
        if self.abstained is not None:
            names.append("margin")
            names += ["abstained"] if self.sets is None else ["prediction_set", "abstained"]
        if self.ood is not None:
            names += ["ood_score", "ood"]
        return [*names, *self.more, "error"]

    @property
    def row_name(self) -> str:
        """Name of the first column."""
        return "path"

    @property
    def more(self) -> dict[str, list[Any]]:
        """Further columns, which rows without a prediction have too."""
        return {}

    def rows(self) -> Iterator[list[Any]]:
        """One row per file, as `columns` names its cells; None where there is nothing to say.

        Files of other kinds follow the images where ``all_files`` asks for them.
        """
        reasons = {failure.id: failure.reason for failure in self.failures}
        more = self.more
        empty = [None] * (len(self.columns) - 2 - len(more))
        position = {name: i for i, name in enumerate(self.classes)}
        for i, name in enumerate(self.ids):
            last = [values[i] for values in more.values()]
            if self.predictions[i] is None:
                yield [name, *empty, *last, reasons[name]]
                continue
            p = self.probabilities[i]
            # the prediction first even where another class ties with it, then by probability
            order = np.argsort(-p, kind="stable")
            first = position[self.predictions[i]]
            best = [first, *(int(k) for k in order if k != first)][: self.top_k]
            row: list[Any] = [name]
            for k in best:
                row += [self.classes[k], float(p[k])]
            if self.proba:
                row += p.tolist()
            elif self.cutoff is not None:
                row.append(float(p[self.cutoff.column]))
            if self.cutoff is not None:
                row.append(self.cutoff.cutoff)
            yield [*row, *self._trust_cells(i, first), *last, None]
        if self.all_files:
            for passed in self.passed:
                yield [passed.id, *empty, passed.kind.reason]

    def _trust_cells(self, i: int, first: int) -> list[Any]:
        """How far to trust row ``i``, of which class ``first`` is predicted."""
        cells: list[Any] = []
        if self.abstained is not None:
            cells.append(self._margin(self.probabilities[i], first))
            if self.sets is not None:
                cells.append(join_names(self.classes[c] for c in np.flatnonzero(self.sets[i])))
            cells.append(bool(self.abstained[i]))
        if self.ood_scores is not None and self.ood is not None:
            cells += [float(self.ood_scores[i]), bool(self.ood[i])]
        return cells

    def _margin(self, p: np.ndarray, first: int) -> float:
        """How far the decision for class ``first`` is from another one.

        With a cutoff: from the cutoff, or if less from the likeliest other class that could be
        decided for. Else from the second class; below 0 where costs decide for another than the
        likeliest.
        """
        others = np.delete(p, first)
        if self.cutoff is None:
            return float(p[first] - others.max())
        column, cutoff = self.cutoff.column, self.cutoff.cutoff
        if first == column:
            return float(p[column] - cutoff)
        rest = np.delete(p, [first, column])
        return float(min([cutoff - p[column], *([p[first] - rest.max()] if len(rest) else [])]))

    def counts(self) -> dict[str, int]:
        """Predicted class -> number of files; every class of the model, most frequent first."""
        found = Counter(label for label in self.predictions if label is not None)
        return dict(sorted(((c, found[c]) for c in self.classes), key=lambda item: -item[1]))

    def document(self) -> dict[str, Any]:
        """The summary as a JSON document."""
        columns = {printable(read.column.name): read.document() for read in self.columns_read}
        return {
            "schema_version": 1,
            "images": len(self),
            "scored": len(self) - len(self.failures),
            "quarantined": len(self.failures),
            "classes": self.counts(),
            **{
                name: int(flags.sum())
                for name, flags in (("abstained", self.abstained), ("ood", self.ood))
                if flags is not None
            },
            "averaged": self.averaged,
            "output": self.output,
            "sorted_into": self.sorted_into,
            "page": self.page,
            **({} if self.groups is None else {"groups": self.groups.document()}),
            "threshold": self.threshold,
            "drift": self.drift,
            "drift_not_tested": self.no_drift or None,
            "checks": {check.name: check.document() for check in self.checks},
            **({"columns": columns} if self.columns_read else {}),
            "warnings": self.warnings(),
            "report": self.report,
            "passed_over": self.passed_over,
            "passed_over_because": {p.kind.name: p.kind.reason for p in self.passed},
            "failures": [{"id": failure.id, "reason": failure.reason} for failure in self.failures],
        }

    def warnings(self) -> list[str]:
        """What is far above what the training images would give, and drift, in sentences."""
        found = [check.warning() for check in self.checks if check.far]
        if self.drift and self.drifted:
            what = drift_found(self.drift)
            found.append(f"{what[0].upper()}{what[1:]}: the model's estimate need not hold here.")
        return found

    @property
    def drifted(self) -> bool:
        """Whether a test finds that the images are not like the training images."""
        return bool(self.drift and self.drift["drift"])

    def sentences(self) -> list[str]:
        """Files that are no rows, what was found of each check, and the test of drift."""
        return [
            *([f"Passed over: {count_kinds(self.passed)}."] if self.passed else []),
            *(sentence for read in self.columns_read for sentence in read.sentences()),
            *(each.sentence() for each in self.checks if each.images or each.name != "quarantined"),
            drift_sentence(self.drift, self.no_drift),
        ]

    def require_calm(self, fail_on: str | None) -> None:
        """Raise where what ``fail_on`` names was found.

        Parameters
        ----------
        fail_on : str or None
            As ``--fail-on`` takes it: ``"drift,ood=0.2"``.

        Raises
        ------
        AlarmError
            With what was found.
        """
        raise_alarms(fail_on, self.checks, self.drift)

    def require_all(self) -> None:
        """Raise when any file could not be read.

        Raises
        ------
        QuarantinedError
            With the number and the first of them. Files of kinds that may hold images and are
            not read count too.
        """
        hint = "The error column of the output says why, file by file."
        unread = [passed for passed in self.passed if passed.kind.image]
        if unread and not self.all_files:
            rows = "Files that were passed over have rows with --all-files."
            hint = f"{hint} {rows}" if self.failures else rows
        require_all(self.failures, len(self), hint=hint, unread=unread)

    def require_any(self) -> None:
        """Raise when no file could be read.

        Raises
        ------
        DatasetError
            With the number and the first of them.
        """
        require_any(self.failures, len(self))


def join_names(names: Iterable[str]) -> str:
    r"""Class names with ``|`` between them; ``|`` and ``\`` in a name have a ``\`` before them."""
    return "|".join(name.replace("\\", r"\\").replace("|", r"\|") for name in names)
