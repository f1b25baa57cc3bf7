"""Can the class be predicted without looking at what is in the picture?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from featx import console
from featx.auditing.looking import Look
from featx.auditing.marks import mark_scores
from featx.data.splits import Folds
from featx.stats.bootstrap import balanced_accuracies, draw_units, interval
from featx.stats.ranking import class_rankings, roc_areas
from featx.types import FloatArray, IntArray

#: What is tried, alone.
FAMILIES = {
    "size": "the size in pixels",
    "dimensions": "a few exact sizes in pixels",
    "aspect": "the aspect ratio",
    "format": "the file format and mode",
    "metadata": "the file's metadata (camera, resolution, JPEG quality)",
    "compression": "the number of bytes per pixel",
    "frame": "a frame or bars",
    "mark": "a mark at a fixed place",
    "border": "the border",
    "colour": "the colours",
}
#: The rest may follow from what is in the picture: a sky gives the border its colour.
NOT_CONTENT = frozenset({"dimensions", "format", "metadata", "frame", "mark"})
#: Always told, never called serious: the subject's own.
MAY_BE_REAL = frozenset({"colour"})
#: Lower end of the interval of a class's ROC-AUC from which a family gives the class away.
GIVES_AWAY = 0.95
_TREES = 25
_MOST_WORDS = 20  # of a measurement in words that get a column
_MIN_IMAGES = 10  # of a class, for a verdict on it


@dataclass(frozen=True)
class Shortcut:
    """How well one family of measurements alone tells the classes apart.

    Parameters
    ----------
    family : str
    balanced_accuracy : dict
        ``value``, ``low`` and ``high``, of out-of-fold predictions.
    chance : float
        Balanced accuracy without any information: 1 / classes.
    by_class : dict of str to dict
        ROC-AUC of each class against all others; with its interval from `GIVES_AWAY` on.
    given_away : list of str
        Classes with the interval's lower end at `GIVES_AWAY` or above.
    strongest : dict of str to str
        Given-away class -> the measurement that tells it best, alone.
    content : dict of str to dict
        Given-away class -> its ROC-AUC by the embedding, from the same folds.
    beyond : list of str
        Given-away classes that the family tells better than the embedding does (the 95 % interval
        of the paired difference is above 0), or that no content can explain.
    """

    family: str
    balanced_accuracy: dict[str, float | None]
    chance: float
    by_class: dict[str, dict[str, float | None]]
    given_away: list[str]
    strongest: dict[str, str]
    content: dict[str, dict[str, float | None]]
    beyond: list[str]

    @property
    def serious(self) -> bool:
        """Whether a classifier could get a class right for a reason of no worth."""
        return bool(self.beyond)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "serious": self.serious}


def family_columns(looks: Sequence[Look], family: str) -> tuple[FloatArray, list[str]]:
    """Measurements of one family, shape (n, n_columns), and their names; words one-hot."""
    columns: list[Any] = []
    names = []
    for name in looks[0].numbers.get(family, {}):
        columns.append([look.numbers[family][name] for look in looks])
        names.append(name)
    for name in sorted({name for look in looks for name in look.words.get(family, {})}):
        values = [look.words[family].get(name, "") for look in looks]
        for word, _ in Counter(values).most_common(_MOST_WORDS):
            columns.append([float(value == word) for value in values])
            names.append(f"{name} {word!r}" if word else f"no {name}")
    X = np.array(columns, dtype=np.float64).T if columns else np.empty((len(looks), 0))
    varying = np.ptp(X, axis=0) > 0 if len(X) else np.zeros(X.shape[1], bool)
    return X[:, varying], [name for name, kept in zip(names, varying, strict=True) if kept]


def find_shortcuts(
    looks: Sequence[Look],
    y: IntArray,
    units: IntArray,
    classes: Sequence[str],
    folds: Folds,
    content: FloatArray,
    *,
    seed: int,
) -> list[Shortcut]:
    """Try each family alone, cross-validated on the folds, and beside the picture's content.

    Parameters
    ----------
    looks : sequence of Look
    y : ndarray of shape (n,), int64
    units : ndarray of shape (n,), int64
        What is drawn and permuted together: groups with copies.
    classes : sequence of str
    folds : Folds
        Which straddle no unit.
    content : ndarray of shape (n, n_classes)
        Out-of-fold probabilities from embeddings, on the same folds.
    seed : int

    Returns
    -------
    list of Shortcut
        One for each family that varies at all, the best told first.
    """
    units = np.unique(units, return_inverse=True)[1].astype(np.int64)
    trial = _Trial(y, units, classes, folds, content, seed)
    found = []
    for family in console.each(FAMILIES, "Looking for shortcuts"):
        if family == "mark":
            scores, places = mark_scores(looks, y, len(classes), folds)
            if any(places):
                found.append(trial.judged(family, scores, places.__getitem__))
            continue
        X, names = family_columns(looks, family)
        if X.shape[1]:
            proba = trial.predicted(X, family)
            found.append(trial.judged(family, proba, partial(_strongest, X, names, y)))
    return sorted(found, key=lambda s: (-len(s.given_away), -(s.balanced_accuracy["value"] or 0)))


@dataclass(frozen=True)
class _Trial:
    """What every family is tried on: see `find_shortcuts`."""

    y: IntArray
    units: IntArray
    classes: Sequence[str]
    folds: Folds
    content: FloatArray
    seed: int

    def predicted(self, X: FloatArray, family: str) -> FloatArray:
        """Out-of-fold probabilities of trees, shape (n, n_classes)."""
        proba = np.zeros((len(self.y), len(self.classes)))
        for fold in console.each(range(self.folds.n_folds), f"{family}, fold"):
            tested = self.folds.fold == fold
            trees = ExtraTreesClassifier(
                _TREES, min_samples_leaf=3, class_weight="balanced", random_state=self.seed
            )
            trees.fit(X[~tested], self.y[~tested])
            proba[np.ix_(tested, trees.classes_)] = trees.predict_proba(X[tested])
        return proba

    def judged(self, family: str, proba: FloatArray, strongest: Callable[[int], str]) -> Shortcut:
        """What one family tells, with intervals where it tells much."""
        counts = np.bincount(self.y, minlength=len(self.classes))
        n_units = int(self.units.max()) + 1
        aucs = class_rankings(self.y, proba)["roc_auc"][0]
        found = Shortcut(
            family,
            self._accuracy(proba.argmax(axis=1).astype(np.int64)),
            1 / int((counts > 0).sum()),
            *({}, [], {}, {}, []),
        )
        for c, label in enumerate(self.classes):
            found.by_class[label] = interval(aucs[c], np.empty(0), n_units)
            if counts[c] < _MIN_IMAGES or not aucs[c] >= GIVES_AWAY:
                continue
            samples = roc_areas(self.y == c, proba[:, c], self._weights)
            found.by_class[label] = interval(aucs[c], samples, n_units)
            if _at_least(found.by_class[label]) < GIVES_AWAY:
                continue
            plain = float(roc_areas(self.y == c, self.content[:, c], np.ones((1, len(self.y))))[0])
            others = roc_areas(self.y == c, self.content[:, c], self._weights)
            more = interval(aucs[c] - plain, samples - others, n_units, limits=(-1.0, 1.0))
            found.given_away.append(label)
            found.strongest[label] = strongest(c)
            found.content[label] = interval(plain, others, n_units)
            may_follow = family not in NOT_CONTENT
            if not may_follow or (family not in MAY_BE_REAL and (more["low"] or 0.0) > 0):
                found.beyond.append(label)
        return found

    @cached_property
    def _weights(self) -> FloatArray:
        """How often each image is in each resample; fewer where images and classes are many."""
        n = int(np.clip(1e8 // self.content.size, 100, 400))
        blocks = []
        for draws in draw_units(int(self.units.max()) + 1, self.seed):
            blocks.append(draws[:n])
            n -= len(blocks[-1])
            if not n:
                break
        return np.concatenate(blocks)[:, self.units]

    def _accuracy(self, y_pred: IntArray) -> dict[str, float | None]:
        """Balanced accuracy with its interval."""
        hits = [(y_pred == self.y).astype(float)]
        [value], [samples] = balanced_accuracies(
            self.y, self.units, len(self.classes), hits, seed=self.seed
        )
        return interval(value, samples, int(self.units.max()) + 1)


def _at_least(auc: dict[str, float | None]) -> float:
    """The interval's lower end; the value where every resample has the same (1, in practice)."""
    low = auc["value"] if auc["low"] is None else auc["low"]
    return 0.0 if low is None else low


def _strongest(X: FloatArray, names: Sequence[str], y: IntArray, c: int) -> str:
    """The measurement that tells a class from the others best, in either direction."""
    from scipy.stats import rankdata

    ranks, of_class = rankdata(X, axis=0), y == c
    n, inside = len(X), int(of_class.sum())
    auc = (ranks[of_class].sum(axis=0) - inside * (inside + 1) / 2) / (inside * (n - inside))
    return names[int(np.abs(auc - 0.5).argmax())]
