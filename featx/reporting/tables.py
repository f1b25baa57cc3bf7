"""Tables: the same rows for the page and for CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.reporting.contents import Subject
from featx.stats.metrics import HEADLINE, confusion_matrix

__all__ = ["Table", "candidates", "class_rows", "confused_pairs", "estimates"]


@dataclass(frozen=True)
class Table:
    """Columns and rows of plain values."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def candidates(results: Mapping[str, Any]) -> Table:
    """Every candidate with its score on the folds and its difference to the chosen one."""
    columns = ("backbone", "head", "sampler", "class_weight", "pca", "views", "chosen", "status",
               "mean", "sd", "against_chosen", "low", "high", "p_adjusted", "against_none",
               "elapsed_s")  # fmt: skip
    keys = ("backbone", "head", "sampler", "class_weight", "pca", "views")
    chosen = [results["chosen"].get(k) for k in keys]
    rows = []
    for row in results.get("candidates", []):
        other, none = row["against_chosen"] or {}, row["against_none"] or {}
        rows.append(
            [
                *(str(row[k]) for k in keys),
                [row[k] for k in keys] == chosen,
                row["status"],
                row["cv_mean"],
                row["cv_std"],
                *(other.get(k) for k in ("mean", "low", "high", "p_adjusted")),
                none.get("mean"),
                row["elapsed_s"],
            ]
        )
    return Table(columns, rows)


def estimates(results: Mapping[str, Any]) -> Table:
    """The metrics of the estimate, and of those beside it."""
    rows = []
    for name, one in {"estimate": results["estimate"], **results["estimates"]}.items():
        for metric, value in one["metrics"].items():
            rows.append([name, metric, value["value"], value["low"], value["high"]])
    return Table(("estimate", "metric", "value", "low", "high"), rows)


def headline(estimate: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The metrics that are shown, where they are defined."""
    metrics = estimate["metrics"]
    return [(n, metrics[n]) for n in HEADLINE if n in metrics and metrics[n]["value"] is not None]


def confused_pairs(subject: Subject) -> Table:
    """Which class was taken for which, the most frequent mistake first."""
    classes = subject.classes
    counts = confusion_matrix(subject.y, subject.predicted, len(classes))
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[: int((counts > 0).sum())]
    pairs = [divmod(int(k), len(classes)) for k in order]
    rows = [
        [classes[i], classes[j], int(counts[i, j]), float(counts[i, j] / totals[i])]
        for i, j in pairs
    ]
    return Table(("true", "said", "images", "share_of_true"), rows)


def class_rows(results: Mapping[str, Any]) -> Table:
    """What is known of each class."""
    measures = ("recall", "precision", "f1", "roc_auc", "average_precision")
    columns = ["class", "images", "judged"]
    for m in measures:
        columns += [m, f"{m}_low", f"{m}_high"]
    counts = results["dataset"]["classes"]
    rows = []
    for label, row in results["estimate"]["per_class"].items():
        ends = [row[m][k] for m in measures for k in ("value", "low", "high")]
        rows.append([label, counts.get(label), row["support"], *ends])
    return Table(columns, rows)
