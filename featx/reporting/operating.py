"""The chapter of a page on operating points: a slider over each class's table and curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from featx.console import counted
from featx.files import printable
from featx.numbers import in_percent, interval
from featx.reporting.blocks import Block, Paragraph, SliderClass, SliderPoint, Sliders
from featx.reporting.contents import Subject
from featx.reporting.summaries.thresholds import (
    COLUMNS,
    asked_words,
    diagnostic_table,
    evaluated_words,
    points_table,
    threshold_blocks,
)
from featx.shell import as_argument
from featx.stats.thresholds import Levels
from featx.types import Row

MOST_CLASSES = 40  # that have a slider
MOST_POINTS = 150  # of a curve


def operating_blocks(subject: Subject) -> Iterator[Block]:
    """The threshold in force, predictive values of two classes, and a slider for each class."""
    operating = subject.results.get("operating")
    if operating is None:
        return
    yield from threshold_blocks(operating)
    if operating.get("in_force") is None:
        yield Paragraph("No threshold is in force: the likeliest class is predicted.")
    names = _order(subject, operating)
    if not names:
        return
    yield Sliders([_slider(subject, operating, name) for name in names[:MOST_CLASSES]])
    if len(names) > MOST_CLASSES:
        more = counted(len(names) - MOST_CLASSES, "easier class", "is/are")
        yield Paragraph(f"{more} in results.json.", "note")
    yield Paragraph(" ".join(_notes(subject, operating)), "note")
    yield from diagnostic_table(operating)


def _notes(subject: Subject, operating: Row) -> Iterator[str]:
    """What the rates are of, and where a threshold can be given."""
    yield evaluated_words(operating)
    if (subject.fold >= 0).any():
        yield (
            "So the marked point may lie beside the curves, which are of all these predictions "
            "together."
        )
    verbs = "score, evaluate and report"
    if "evaluation" in subject.results:
        verbs = "score and evaluate"
    yield f"featx {verbs} take --threshold without a new fit."


def _order(subject: Subject, operating: Row) -> list[str]:
    """The class that is looked for first, then the hardest."""
    per_class, positive = subject.estimate["per_class"], operating.get("positive")
    return sorted(
        operating["classes"],
        key=lambda name: (
            name != positive, per_class[name]["average_precision"]["value"] or 0.0, name
        ),
    )  # fmt: skip


def _slider(subject: Subject, operating: Row, name: str) -> SliderClass:
    points = operating["classes"][name]
    rows = list(points["points"])
    in_force = operating.get("in_force")
    now = rows[0]
    if in_force is not None and str(in_force["asked"]).rpartition(":")[0] == name:
        now = {**in_force, "asked": str(in_force["asked"]).rpartition(":")[2]}
        rows = [row for row in rows if row["asked"] != now["asked"]] + [now]
    elif in_force is not None:
        rows = rows[1:]  # what the likeliest class would do is not what is done
        now = None
    rows.sort(key=lambda row: (row["recall"]["value"] or 0.0, row["false_alarms"]["value"] or 0.0))
    column = subject.classes.index(name)
    own, proba = subject.y == column, subject.proba[:, column]
    cells = points_table({"points": rows}).rows
    n, rest = points["images"], points["others"]
    return SliderClass(
        name=name,
        words=f"{n:,} of {counted(n + rest, 'image')}",
        columns=COLUMNS,
        points=[_stop(name, row, line) for row, line in zip(rows, cells, strict=True)],
        start=-1 if now is None else rows.index(now),
        **_curves(own, proba, points.get("prevalence")),
    )


def _stop(name: str, row: Row, cells: Sequence[str]) -> SliderPoint:
    asked, shown = row["asked"], printable(name)
    passed = row["specificity"]["value"] if row.get("specificity") else None
    recall, precision = (in_percent(row[k]) for k in ("recall", "precision"))
    words = (
        f"{asked_words(asked).capitalize()}: {recall} of the {shown} images are found, with "
        f"{interval(row['false_alarms'], 1)} false alarms per 1,000 images; {precision} of those "
        f"predicted {shown} are {shown}."
    )
    return SliderPoint(
        cells=cells,
        words=words,
        flag="" if asked == "likeliest" else f"--threshold {as_argument(f'{name}:{asked}')}",
        recall=row["recall"]["value"],
        precision=row["precision"]["value"],
        alarm_rate=None if passed is None else 1 - passed,
    )


def _curves(own: np.ndarray, proba: np.ndarray, prevalence: float | None) -> dict[str, str]:
    """ROC and precision-recall as points of polylines; empty where they are not defined."""
    levels = Levels.of(own, proba)
    if not levels.n_own or not levels.n_rest:
        return {"roc": "", "precision_recall": ""}
    share = levels.n_own / len(own) if prevalence is None else prevalence
    found, alarms = levels.hits / levels.n_own, levels.alarms / levels.n_rest
    precision = found * share / (found * share + alarms * (1 - share))
    roc = _line(np.r_[0, alarms, 1], np.r_[0, found, 1])
    return {"roc": roc, "precision_recall": _line(found, precision)}


def _line(x: np.ndarray, y: np.ndarray) -> str:
    kept = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).round().astype(int))
    return " ".join(f"{100 * a:.1f},{100 - 100 * b:.1f}" for a, b in zip(x[kept], y[kept],
                                                                        strict=True))  # fmt: skip
