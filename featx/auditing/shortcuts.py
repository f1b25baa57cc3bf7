"""Can the class be predicted without looking at what is in the picture?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from featx import console
from featx.auditing.looking import Look
from featx.data.splits import Folds
from featx.stats.bootstrap import draw_units, interval
from featx.stats.ranking import class_rankings
from featx.types import BoolArray, FloatArray, IntArray

__all__ = ["FAMILIES", "Shortcut", "family_columns", "find_shortcuts"]


#: What is tried, alone. Those that may belong to the subject itself are told, not called serious.
FAMILIES = {
    "size": "the size in pixels",
    "aspect": "the aspect ratio",
    "format": "the file format and mode",
    "metadata": "the file's metadata (camera, resolution, JPEG quality, bytes per pixel)",
    "border": "the border",
    "colour": "the colours",
}
MAY_BE_REAL = frozenset({"colour"})
#: Lower end of the interval of a class's ROC-AUC from which a family gives the class away.
GIVES_AWAY = 0.95
_TREES = 50
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
        ROC-AUC of each class against all others, with its interval.
    given_away : list of str
        Classes with the interval's lower end at `GIVES_AWAY` or above.
    strongest : dict of str to str
        Given-away class -> the measurement that tells it best, alone.
    """

    family: str
    balanced_accuracy: dict[str, float | None]
    chance: float
    by_class: dict[str, dict[str, float | None]]
    given_away: list[str]
    strongest: dict[str, str]

    @property
    def serious(self) -> bool:
        """Whether a classifier could get a class right for a reason of no worth."""
        return bool(self.given_away) and self.family not in MAY_BE_REAL

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
    *,
    seed: int,
) -> list[Shortcut]:
    """Try each family alone, cross-validated on the folds.

    Parameters
    ----------
    looks : sequence of Look
    y : ndarray of shape (n,), int64
    units : ndarray of shape (n,), int64
        What is drawn and permuted together: groups with copies.
    classes : sequence of str
    folds : Folds
        Which straddle no unit.
    seed : int

    Returns
    -------
    list of Shortcut
        One for each family that varies at all, the best told first.
    """
    found = []
    for family in console.each(FAMILIES, "Looking for shortcuts"):
        X, names = family_columns(looks, family)
        if X.shape[1]:
            found.append(_try(family, X, names, y, units, classes, folds, seed))
    return sorted(found, key=lambda s: (-len(s.given_away), -(s.balanced_accuracy["value"] or 0)))


def _try(
    family: str,
    X: FloatArray,
    names: Sequence[str],
    y: IntArray,
    units: IntArray,
    classes: Sequence[str],
    folds: Folds,
    seed: int,
) -> Shortcut:
    n_classes = len(classes)
    proba = np.zeros((len(y), n_classes))
    for fold in console.each(range(folds.n_folds), f"{family}, fold"):
        tested = folds.fold == fold
        trees = ExtraTreesClassifier(
            _TREES, min_samples_leaf=3, class_weight="balanced", random_state=seed
        )
        trees.fit(X[~tested], y[~tested])
        proba[np.ix_(tested, trees.classes_)] = trees.predict_proba(X[tested])
    y_pred = proba.argmax(axis=1).astype(np.int64)
    units = np.unique(units, return_inverse=True)[1].astype(np.int64)
    accuracy, aucs, samples, auc_samples = _resampled(y, proba, y_pred, units, seed)
    n_units, counts = int(units.max()) + 1, np.bincount(y, minlength=n_classes)
    by_class = {
        label: interval(aucs[c], auc_samples[:, c], n_units) for c, label in enumerate(classes)
    }
    given_away = [
        label
        for c, label in enumerate(classes)
        if counts[c] >= _MIN_IMAGES and _at_least(by_class[label]) >= GIVES_AWAY
    ]
    return Shortcut(
        family,
        interval(accuracy, samples, n_units),
        1 / int((counts > 0).sum()),
        by_class,
        given_away,
        {label: names[_strongest(X, y == classes.index(label))] for label in given_away},
    )


def _at_least(auc: dict[str, float | None]) -> float:
    """The interval's lower end; the value where every resample has the same (1, in practice)."""
    low = auc["value"] if auc["low"] is None else auc["low"]
    return 0.0 if low is None else low


def _resampled(
    y: IntArray, proba: FloatArray, y_pred: IntArray, units: IntArray, seed: int
) -> tuple[float, FloatArray, FloatArray, FloatArray]:
    """Balanced accuracy, ROC-AUC of each class, and both of each resample of units."""
    hit = np.zeros((int(units.max()) + 1, proba.shape[1]))
    true = hit.copy()
    np.add.at(true, (units, y), 1)
    np.add.at(hit, (units, y), y_pred == y)
    accuracies, aucs, done = [], [], 0
    n_ranked = int(np.clip(1e8 // proba.size, 100, 400))
    for draws in draw_units(len(hit), seed):
        with np.errstate(invalid="ignore"):
            accuracies.append(np.nanmean((draws @ hit) / (draws @ true), axis=1))
        ranked = draws[: max(n_ranked - done, 0)]
        if len(ranked):
            aucs.append(class_rankings(y, proba, ranked[:, units])["roc_auc"])
        done += len(draws)
    whole = hit.sum(axis=0) / np.maximum(true.sum(axis=0), 1)
    present = true.sum(axis=0) > 0
    return (
        float(whole[present].mean()),
        class_rankings(y, proba)["roc_auc"][0],
        np.concatenate(accuracies),
        np.concatenate(aucs),
    )


def _strongest(X: FloatArray, of_class: BoolArray) -> int:
    """The column that tells a class from the others best, in either direction."""
    from scipy.stats import rankdata

    ranks = rankdata(X, axis=0)
    n, inside = len(X), int(of_class.sum())
    auc = (ranks[of_class].sum(axis=0) - inside * (inside + 1) / 2) / (inside * (n - inside))
    return int(np.abs(auc - 0.5).argmax())
