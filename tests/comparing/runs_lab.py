"""Run folders made by hand, so that what a comparison must say is known beforehand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from featx.formats import write_rows
from tests.lab import RESULTS

CLASSES = ["a", "b"]


def write_run(
    folder: Path,
    y,
    predicted,
    *,
    classes=CLASSES,
    split="test",
    folds=None,
    units=None,
    ids=None,
    content="0123456789abcdef",
    sure=0.9,
    older=False,
    results=None,
):
    """A run that judged ``len(y)`` images; of several splits where ``split`` is a list."""
    n = len(y)
    ids = [f"{i:03}.png" for i in range(n)] if ids is None else ids
    units = range(n) if units is None else units
    rows = []
    for name in [split] if isinstance(split, str) else split:
        for i in range(n):
            rest = (1 - sure) / (len(classes) - 1)
            proba = [sure if c == predicted[i] else rest for c in range(len(classes))]
            fold = None if folds is None else int(folds[i])
            cells = [ids[i], name, fold, classes[y[i]], classes[predicted[i]]]
            rows.append([*cells, *([] if older else [int(units[i]), content]), *proba])
    added = [] if older else ["unit", "content"]
    columns = ["id", "split", "fold", "y_true", "y_pred", *added, *(f"p_{c}" for c in classes)]
    folder.mkdir(parents=True)
    write_rows(folder / "predictions.csv", columns, rows)
    document = {**RESULTS, "classes": list(classes), **(results or {})}
    (folder / "results.json").write_text(json.dumps(document))
    (folder / "model").mkdir()
    (folder / "model" / "model.json").write_bytes(b"x" * 1000)
    return folder


def answers(y, right):
    """Predictions of two classes that are right just where ``right`` says."""
    return np.where(right, y, 1 - np.asarray(y))


def outcomes(both, wins, losses, neither):
    """``(baseline right, run right)``, in an order that mixes all four."""
    n = both + wins + losses + neither
    kinds = np.repeat([0, 1, 2, 3], [both, wins, losses, neither])
    kinds = kinds[np.random.default_rng(0).permutation(n)]
    return np.isin(kinds, [0, 2]), np.isin(kinds, [0, 1])
