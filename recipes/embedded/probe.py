"""Linear probes of frozen features on labelled image folders.

A probe is StandardScaler and LogisticRegression. Its C is chosen inside the training part.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

C_GRID = (1e-3, 1e-2, 1e-1, 1.0)
Fold = tuple[np.ndarray, np.ndarray]
Metric = Callable[[np.ndarray, np.ndarray], float]
SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class Labelled:
    """Image files with labels ``(n,)`` str and, where rows depend on each other, groups."""

    paths: list[Path]
    labels: np.ndarray
    groups: np.ndarray | None = None


def read_folder(folder: Path) -> Labelled:
    """Read ``folder/<class>/<image>``."""
    paths = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in SUFFIXES)
    return Labelled(paths, np.array([p.parent.name for p in paths]))


def read_csv(file: Path) -> Labelled:
    """Read a CSV of ``path,label,group``, its paths relative to the file's folder."""
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return Labelled(
        [file.parent / row["path"] for row in rows],
        np.array([row["label"] for row in rows]),
        np.array([row["group"] for row in rows]),
    )


def load_images(
    paths: list[Path],
    size_px: int,
    resize: str = "squash",
    crop: float = 1.0,
    interpolation: str = "bicubic",
) -> np.ndarray:
    """Return uint8 ``(n, 3, size_px, size_px)`` RGB.

    ``"squash"`` scales both sides; ``"shortest"`` scales the short side to ``size_px / crop`` and
    keeps the centre.
    """
    images = np.empty((len(paths), 3, size_px, size_px), np.uint8)
    filter_ = Image.Resampling[interpolation.upper()]
    for i, path in enumerate(paths):
        with Image.open(path) as image:
            rgb = ImageOps.exif_transpose(image).convert("RGB")
        box = None
        if resize == "shortest":
            side = crop * min(rgb.size)
            left, top = (rgb.width - side) / 2, (rgb.height - side) / 2
            box = (left, top, left + side, top + side)
        resized = rgb.resize((size_px, size_px), filter_, box=box)
        images[i] = np.asarray(resized).transpose(2, 0, 1)
    return images


def fit(x: np.ndarray, y: np.ndarray, c: float) -> Pipeline:
    """Fit the probe on ``x`` ``(n, width)`` float32 and ``y`` ``(n,)``."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=200))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return probe.fit(x, y)


def best_c(x: np.ndarray, y: np.ndarray, splits: list[Fold], metric: Metric) -> float:
    """Return the C of the grid whose probes score best on the splits' second parts."""

    def mean_score(c: float) -> float:
        return float(np.mean([metric(y[b], fit(x[a], y[a], c).predict(x[b])) for a, b in splits]))

    return max(C_GRID, key=mean_score)


def train_validation_test(parts: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return accuracy on the last of three parts ``(x, y)``.

    C is chosen by accuracy on the second part; the probe is then fitted on the first two.
    """
    x, y = (np.concatenate([part[i] for part in parts[:2]]) for i in (0, 1))
    rows = np.arange(len(y))
    n_train = len(parts[0][1])
    c = best_c(x, y, [(rows[:n_train], rows[n_train:])], accuracy_score)
    return float(accuracy_score(parts[2][1], fit(x, y, c).predict(parts[2][0])))


def cross_validated(x: np.ndarray, y: np.ndarray, groups: np.ndarray | None) -> float:
    """Return balanced accuracy of the out-of-fold predictions of five folds.

    Inside each fold C is searched: on a held-out third or, with groups, on three folds.
    """
    predictions = np.empty_like(y)
    for train, test in _folds(y, groups, 5):
        inner = _folds(y[train], None if groups is None else groups[train], 3)
        if groups is None:
            inner = inner[:1]
        c = best_c(x[train], y[train], inner, balanced)
        predictions[test] = fit(x[train], y[train], c).predict(x[test])
    return balanced(y, predictions)


def balanced(y: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean over the classes in ``y`` of the share recognised."""
    return float(np.mean([(predicted[y == name] == name).mean() for name in np.unique(y)]))


def _folds(y: np.ndarray, groups: np.ndarray | None, n: int) -> list[Fold]:
    """Return ``n`` stratified folds that split no group."""
    folds = StratifiedKFold if groups is None else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class smaller than n: bccd has one of 3
        return list(folds(n, shuffle=True, random_state=0).split(np.zeros(len(y)), y, groups))
