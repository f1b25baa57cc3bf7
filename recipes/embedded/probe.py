"""Linear probes of frozen features on labelled image folders.

A probe is StandardScaler and LogisticRegression. Its C is chosen inside the training part.
"""

from __future__ import annotations

import csv
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
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


def load_images(paths: list[Path], size_px: int, resample: Image.Resampling) -> np.ndarray:
    """Return uint8 ``(n, 3, size_px, size_px)`` RGB; the aspect ratio is not kept."""
    images = np.empty((len(paths), 3, size_px, size_px), np.uint8)
    for i, path in enumerate(paths):
        with Image.open(path) as image:
            rgb = ImageOps.exif_transpose(image).convert("RGB")
        images[i] = np.asarray(rgb.resize((size_px, size_px), resample)).transpose(2, 0, 1)
    return images


def _model(c: float = 1.0) -> object:
    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=300))


def _search(x: np.ndarray, y: np.ndarray, groups: np.ndarray | None, scoring: str) -> GridSearchCV:
    """Return a probe of ``x`` ``(n, width)`` whose C three folds chose."""
    folds: object = StratifiedKFold(3, shuffle=True, random_state=0)
    if groups is not None:
        folds = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    grid = {"logisticregression__C": list(C_GRID)}
    search = GridSearchCV(_model(), grid, cv=folds, scoring=scoring)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)  # a class smaller than the folds: bccd has one
        return search.fit(x, y, groups=groups)


def train_test(
    x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> float:
    """Return test accuracy of the probe fitted on the training rows."""
    probe = _search(x_train, y_train, None, "accuracy")
    return float(accuracy_score(y_test, probe.predict(x_test)))


def cross_validated(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray | None, n_folds: int = 5
) -> float:
    """Return balanced accuracy of out-of-fold predictions; C is searched inside each fold."""
    folds: object = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    if groups is not None:
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    predictions = np.empty_like(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        splits = list(folds.split(x, y, groups))  # type: ignore[attr-defined]
    for train, test in splits:
        inner = None if groups is None else groups[train]
        predictions[test] = _search(x[train], y[train], inner, "balanced_accuracy").predict(x[test])
    return float(balanced_accuracy_score(y, predictions))
