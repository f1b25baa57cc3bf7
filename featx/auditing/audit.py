"""The whole audit: every check on one data set, and what it found as one document."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.auditing.data import AuditData
from featx.auditing.duplicates import AlikeSets, CopySet, copy_components, find_copies
from featx.auditing.grouping import find_groups
from featx.auditing.labels import LabelIssues, doubt_labels, out_of_fold_probabilities
from featx.auditing.neighbours import nearest, standardise
from featx.auditing.outliers import LIMIT, outlier_scores
from featx.auditing.proposals import FoundGroups
from featx.auditing.series import named_series
from featx.auditing.shortcuts import Shortcut, find_shortcuts
from featx.data.copies import alike_sentence, embeddings_alike
from featx.data.splits import link_components, make_folds
from featx.errors import FitError
from featx.stats.intervals import describe_predictions
from featx.types import Float32Array, FloatArray, IntArray

NEIGHBOURS = 10
MOST_CONFUSED = 10
_SPLIT_ORDER = {"test": 0, "val": 1}


@dataclass(frozen=True)
class Copies:
    """A set of copies and what it lies across.

    Parameters
    ----------
    found : CopySet
    across_classes, across_splits : bool
    keep : int or None
        The row that stays: a labelled one, the first of the test split, else of val, else of
        train. None where the labels contradict each other, as nobody can tell which is right.
    """

    found: CopySet
    across_classes: bool
    across_splits: bool
    keep: int | None


@dataclass(frozen=True)
class Audit:
    """Everything that was found.

    Parameters
    ----------
    data : AuditData
    copies : list of Copies
        Those across splits first, then across classes.
    series : list of Copies
        Neighbours of a series (slices, frames) that look alike and are no copies; likewise sorted.
    straddling : dict of str to dict of str to int
        Groups in more than one split -> split -> images.
    rows : ndarray of shape (n_labelled,), int64
        The labelled images, which ``issues`` is about.
    issues : LabelIssues or None
        None where no folds could be made.
    outliers : ndarray of shape (n,)
        Robust z-scores.
    shortcuts : list of Shortcut
    separability : dict or None
        As `featx.stats.intervals.describe_predictions`.
    group_purity : dict or None
        How well the other images of a group tell an image's class.
    notes : list of str
        What could not be checked, and why.
    times : dict of str to float
        Seconds of each check.
    together : FoundGroups, optional
        Groups that nobody wrote down.
    """

    data: AuditData
    copies: list[Copies]
    series: list[Copies]
    straddling: dict[str, dict[str, int]]
    rows: IntArray
    issues: LabelIssues | None
    outliers: FloatArray
    shortcuts: list[Shortcut]
    separability: dict[str, Any] | None
    group_purity: dict[str, float] | None
    notes: list[str]
    times: dict[str, float]
    together: FoundGroups | None = None

    @property
    def suspects(self) -> list[int]:
        """Positions in ``rows`` of suspected label errors, the most doubtful first."""
        if self.issues is None:
            return []
        order = np.argsort(self.issues.quality, kind="stable")
        return [int(i) for i in order[self.issues.suspected[order]]]

    @property
    def strange(self) -> list[int]:
        """Outliers, the furthest first."""
        order = np.argsort(-self.outliers, kind="stable")
        return [int(i) for i in order[self.outliers[order] > LIMIT]]

    @property
    def alike(self) -> str | None:
        """What to say where all images, or most of them, come out alike."""
        if len(self.data) > 1 and embeddings_alike(self.data.X):
            return (
                f"All {len(self.data):,} images give the same embedding: they come out alike to "
                "the backbone, and nothing can be learned from them."
            )
        return alike_sentence(self.data.copies)

    @property
    def serious(self) -> list[str]:
        """What makes a number wrong whatever the classifier: see docs/audit.md."""
        found = [] if self.alike is None else ["images that come out alike"]
        if any(c.across_splits for c in self.copies):
            found.append("copies across splits")
        if any(c.across_classes for c in self.copies):
            found.append("copies with different labels")
        if any(s.across_splits for s in self.series):
            found.append("neighbours of a series across splits")
        if self.straddling:
            found.append("groups in more than one split")
        found += [f"a shortcut: {s.family}" for s in self.shortcuts if s.serious]
        return found

    def excluded(self) -> list[tuple[str, str]]:
        """Ids of copies that can go, and why, so that one image of each set stays.

        Of exact copies with different labels none stays: no label is known to be right. Near copies
        with different labels are not in the list, but for exact ones among them: two pictures may
        just look alike, and a person has to say.
        """
        rows = []
        for whole in self.copies:
            near = whole.keep is None and not whole.found.exact
            for c in self._exact_within(whole) if near else [whole]:
                for i in c.found.rows:
                    if c.keep is None:
                        rows.append((self.data.ids[i], "copies with different labels"))
                    elif i != c.keep:
                        kind = "equal to" if c.found.exact else "a copy of"
                        rows.append((self.data.ids[i], f"{kind} {self.data.ids[c.keep]}"))
        return rows

    def _exact_within(self, copies: Copies) -> list[Copies]:
        """The exact copies among images that are alike."""
        together = defaultdict(list)
        for i in copies.found.rows:
            together[self.data.copies[i]].append(i)
        exact = [CopySet(tuple(rows), True, 1.0) for rows in together.values() if len(rows) > 1]
        return _sorted_copies(self.data, exact)

    def grouped(self) -> list[tuple[str, str]]:
        """Ids of copies, of neighbours of a series and of groups found, and the name of their set.

        Each once: a series with a copy of one of its images is one set.
        """
        parts = [self.copies, self.series]
        components = [copy_components(len(self.data), [c.found for c in part]) for part in parts]
        if self.together is not None and self.together.taken:
            joined = link_components(self.together.codes, components[1])
            counts = np.bincount(joined)
            return [
                (self.data.ids[i], f"group-{code + 1}")
                for i, code in enumerate(joined.tolist())
                if counts[code] > 1
            ]
        joined = link_components(*components)
        names: dict[int, str] = {}
        rows: dict[int, str] = {}
        for kind, part in zip(("copies", "series"), parts, strict=True):
            for number, c in enumerate(part, start=1):
                for i in c.found.rows:
                    rows[i] = names.setdefault(int(joined[i]), f"{kind}-{number}")
        return [(self.data.ids[i], name) for i, name in rows.items()]

    def confused(self) -> list[tuple[str, str, int]]:
        """Pairs of classes that are mistaken for each other: the true one, the other, images."""
        if self.separability is None:
            return []
        table = np.array(self.separability["confusion_matrix"])
        np.fill_diagonal(table, 0)
        order = np.argsort(-table, axis=None, kind="stable")[:MOST_CONFUSED]
        pairs = zip(*np.unravel_index(order, table.shape), strict=True)
        names = self.data.classes
        return [(names[a], names[b], int(table[a, b])) for a, b in pairs if table[a, b]]


def audit_images(data: AuditData, *, n_folds: int, seed: int) -> Audit:
    """Run every check.

    Parameters
    ----------
    data : AuditData
        At least one image.
    n_folds : int
        Folds for labels and shortcuts; none holds a part of a group or of a set of copies.
    seed : int
    """
    times: dict[str, float] = {}
    with _timed(times, "neighbours_s"):
        Z = standardise(data.X)
        neighbours, similarities = nearest(Z, NEIGHBOURS)
    with _timed(times, "copies_s"):
        sets = alike_sets(data, Z, neighbours, similarities)
    found = Audit(
        data=data,
        copies=_sorted_copies(data, sets.copies),
        series=_sorted_copies(data, sets.series),
        straddling=_straddling(data),
        rows=data.labelled,
        issues=None,
        outliers=outlier_scores(data.X, seed=seed),
        shortcuts=[],
        separability=None,
        group_purity=_group_purity(data),
        notes=[],
        times=times,
    )
    with _timed(times, "groups_s"):
        together = find_groups(data, Z, sets, seed=seed)
    found = replace(found, together=together)
    return _of_labels(found, sets, n_folds, seed)


def alike_sets(
    data: AuditData, Z: Float32Array, neighbours: IntArray, similarities: Float32Array
) -> AlikeSets:
    """Copies and neighbours of a series; see `featx.auditing.duplicates.find_copies`."""
    grey = np.stack([look.grey for look in data.looks])
    series = named_series(data.ids, data.groups)
    return find_copies(data.copies, grey, Z, neighbours, similarities, series)


@contextmanager
def _timed(times: dict[str, float], name: str) -> Iterator[None]:
    """Note how long the block takes."""
    started = time.perf_counter()
    yield
    times[name] = round(time.perf_counter() - started, 3)


def _of_labels(found: Audit, sets: AlikeSets, n_folds: int, seed: int) -> Audit:
    """The checks that need labels and folds."""
    data, rows, y, classes = found.data, found.rows, found.data.y, found.data.classes
    if len(classes) < 2:
        return replace(found, notes=["Labels, classes and shortcuts: fewer than two classes."])
    alike = (copy_components(len(data), part) for part in (sets.copies, sets.series))
    together = link_components(data.group_codes, data.copies, *alike)
    units = np.unique(together[rows], return_inverse=True)[1].astype(np.int64)
    try:
        folds = make_folds(y, units, classes, n_folds=n_folds, seed=seed)
    except FitError as error:
        return replace(found, notes=[f"Labels, classes and shortcuts: {error.message}"])
    with _timed(found.times, "labels_s"):
        proba = out_of_fold_probabilities(data.X[rows], y, folds, len(classes))
        issues = doubt_labels(y, proba)
    with _timed(found.times, "classes_s"):
        separability = describe_predictions(
            y, proba, classes, units, unit="separate images or groups", seed=seed,
            n_folds=folds.n_folds,
        )  # fmt: skip
    with _timed(found.times, "shortcuts_s"):
        looks = [data.looks[i] for i in rows]
        shortcuts = find_shortcuts(looks, y, units, classes, folds, proba, seed=seed)
    return replace(
        found,
        issues=issues,
        separability=separability,
        shortcuts=shortcuts,
        notes=list(folds.notes),
    )


def _sorted_copies(data: AuditData, sets: Sequence[CopySet]) -> list[Copies]:
    found = []
    for copies in sets:
        rows = copies.rows
        across_classes = len({data.labels[i] for i in rows} - {None}) > 1
        across_splits = len({data.splits[i] or "train" for i in rows}) > 1
        keep = min(rows, key=lambda i: (data.labels[i] is None,
                                        _SPLIT_ORDER.get(data.splits[i] or "", 2), i))  # fmt: skip
        found.append(
            Copies(copies, across_classes, across_splits, None if across_classes else keep)
        )
    return sorted(found, key=lambda c: (not c.across_splits, not c.across_classes))


def _straddling(data: AuditData) -> dict[str, dict[str, int]]:
    splits: dict[str, Counter[str]] = defaultdict(Counter)
    for group, split in zip(data.groups, data.splits, strict=True):
        if group is not None:
            splits[group][split or "none"] += 1
    return {group: dict(counts) for group, counts in splits.items() if len(counts) > 1}


def _group_purity(data: AuditData) -> dict[str, float] | None:
    """Share of images whose class is the commonest among the others of their group."""
    members: dict[str, Counter[str]] = defaultdict(Counter)
    pairs = [
        (group, label)
        for group, label in zip(data.groups, data.labels, strict=True)
        if group is not None and label is not None
    ]
    for group, label in pairs:
        members[group][label] += 1
    right = n_evaluated = 0
    for group, label in pairs:
        others = members[group].copy()
        others[label] -= 1
        if others.total():
            n_evaluated += 1
            right += others[label] == max(others.values())
    if not n_evaluated:
        return None
    commonest = Counter(label for _, label in pairs).most_common(1)[0][1]
    return {
        "accuracy": right / n_evaluated,
        "images": n_evaluated,
        "commonest_class": commonest / len(pairs),
    }
