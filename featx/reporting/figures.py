"""The statistical figures: each with its title, its words, its table, and how it is drawn.

Nothing here imports matplotlib: a figure is given axes to draw on (`featx.reporting.drawing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from featx.console import counted
from featx.files import printable
from featx.numbers import percent
from featx.reporting.blocks import Figure, Table
from featx.reporting.by import by_figures
from featx.reporting.contents import Subject
from featx.reporting.ink import ACCENT, Ink, dashes, hue
from featx.reporting.tables import confused_pairs
from featx.stats.metrics import confusion_matrix

MOST_NUMBERED = 15  # classes of a confusion matrix whose cells have numbers,
MOST_LABELLED = 40  # and whose rows have names
MOST_CURVES = 8  # classes that have a line and a name of their own
MOST_POINTS = 200  # of a line
N_BINS = 10


def figures(subject: Subject) -> Iterator[Figure]:
    """Every figure of predictions that the run has numbers for, in the order of the page."""
    yield from _confusions(subject)
    yield from by_figures(subject.results)
    yield _ranking(subject, "roc")
    yield _ranking(subject, "precision_recall")
    yield _reliability(subject)
    yield _coverage(subject)
    yield _threshold(subject)


def short(name: str, longest: int = 22) -> str:
    """A name for a figure, cut in its middle where it is long."""
    name = printable(name)
    half = longest // 2
    return name if len(name) <= longest else f"{name[: half - 1]}…{name[-half:]}"


def in_legend(name: str) -> str:
    """The name so that matplotlib shows it, as it shows none that begins with ``_``."""
    return f" {name}" if name.startswith("_") else name


def _confusions(subject: Subject) -> Iterator[Figure]:
    """The whole matrix twice, and the part of a large one where most mistakes are."""
    n = len(subject.classes)
    counts = confusion_matrix(subject.y, subject.y_pred, n)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    everything = np.arange(n)
    words = "Rows are true classes, columns predicted ones; the diagonal is right. "
    words += _confused(subject)
    if n > MOST_LABELLED:
        words += (
            f" {counted(n, 'name', 'has/have')} no room here: the last of these figures has the "
            "most confused."
        )
    title = "Confusion matrix: "
    yield _cells("confusion_counts", f"{title}images", words, counts, everything, subject)
    words = "The same as shares of each row: the diagonal is the recall of each class."
    yield _cells("confusion_normalised", f"{title}share of each true class", words, shares,
                 everything, subject)  # fmt: skip
    if n > MOST_NUMBERED:
        most = most_confused(counts)
        words = (
            f"The {len(most)} of {n} classes that most wrong answers were about, or named. Shares "
            "are of all images of the true class, also where another class was predicted."
        )
        yield _cells("confusion_most", "Where most mistakes are: share of each true class", words,
                     shares, most, subject)  # fmt: skip


def most_confused(counts: np.ndarray) -> np.ndarray:
    """The classes in most wrong answers, true or predicted, in their order."""
    wrong = counts - np.diag(np.diag(counts))
    often = wrong.sum(axis=0) + wrong.sum(axis=1)
    return np.sort(np.argsort(-often, kind="stable")[:MOST_NUMBERED])


def _cells(
    name: str, title: str, words: str, cells: np.ndarray, rows: np.ndarray, subject: Subject
) -> Figure:
    """A confusion matrix of some classes."""
    shown, classes = cells[np.ix_(rows, rows)], [subject.classes[c] for c in rows]
    lines = [
        [classes[i], classes[j], shown[i, j].item()]
        for i, j in np.ndindex(*shown.shape)
        if shown[i, j]
    ]
    whole = np.issubdtype(cells.dtype, np.integer)
    # Rare classes must be seen beside frequent ones: colour is always the share of the row.
    shades = shown / np.maximum(cells[rows].sum(axis=1, keepdims=True), 1e-9)
    side = float(np.clip(2.6 + 0.3 * len(classes), 4.2, 8.0))
    return Figure(
        name,
        title,
        words,
        partial(_draw_cells, cells=shown, shares=shades, classes=classes),
        Table(("true", "predicted", "images" if whole else "share"), lines),
        (side, side * 0.9),
        cells=rows.tolist(),
    )


def _confused(subject: Subject) -> str:
    """The pairs that are confused most, in words."""
    pairs = confused_pairs(subject).rows[:3]
    if not pairs:
        return "No image was taken for another class."
    named = "; ".join(f"{short(y)} for {short(y_pred)} ({n:,})" for y, y_pred, n, _ in pairs)
    return f"Most often mistaken: {named}."


def _draw_cells(axes: Any, ink: Ink, cells: Any, shares: Any, classes: Sequence[str]) -> None:
    n = len(classes)
    whole = np.issubdtype(cells.dtype, np.integer)
    image = np.zeros((n, n, 4))
    image[..., :3] = np.array([int(ACCENT[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    image[..., 3] = 0.85 * np.sqrt(shares)
    axes.imshow(image, interpolation="none", aspect="equal")
    if n <= MOST_NUMBERED:
        for i, j in np.ndindex(n, n):
            if cells[i, j]:
                text = f"{cells[i, j]:,}" if whole else f"{cells[i, j]:.2f}".lstrip("0")
                dark = shares[i, j] > 0.4
                axes.text(j, i, text, ha="center", va="center", fontsize=7.5,
                          color="#ffffff" if dark else ink.ink)  # fmt: skip
    if n <= MOST_LABELLED:
        names = [short(c, 18) for c in classes]
        size = 8 if n <= 20 else 6
        axes.set_xticks(range(n), names, rotation=90, fontsize=size)
        axes.set_yticks(range(n), names, fontsize=size)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.grid(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")


def _thinned(points: np.ndarray) -> np.ndarray:
    """At most `MOST_POINTS` of the rows, ends included."""
    if len(points) <= MOST_POINTS:
        return points
    return points[np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))]


def _ranking(subject: Subject, name: str) -> Figure:
    """ROC or precision-recall curves, each class against all others."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    roc = name == "roc"
    lines: dict[int, np.ndarray] = {}
    for c in range(len(subject.classes)):
        own = subject.y == c
        if not own.any() or own.all():
            continue
        if roc:
            x, y, _ = roc_curve(own, subject.proba[:, c])
        else:
            y, x, _ = precision_recall_curve(own, subject.proba[:, c])
        lines[c] = _thinned(np.column_stack([x, y]))
    key = "roc_auc" if roc else "average_precision"
    per_class = subject.estimate["per_class"]
    areas = {c: per_class[subject.classes[c]][key]["value"] or 0.0 for c in lines}
    shown = sorted(lines, key=lambda c: areas[c])[:MOST_CURVES]
    axes_of = ("false positive rate", "recall") if roc else ("recall", "precision")
    title = "ROC curves" if roc else "Precision-recall curves"
    measure = "area under the curve" if roc else "average precision"
    words = f"Each class against all others; the legend gives the {measure}."
    if len(lines) > len(shown):
        words += f" The {len(shown)} weakest of {len(lines)} classes are named, the others grey."

    def draw(axes: Any, ink: Ink) -> None:
        for c in lines.keys() - set(shown):
            axes.plot(*lines[c].T, color=ink.line, linewidth=0.8)
        if roc:
            axes.plot([0, 1], [0, 1], color=ink.soft, linewidth=0.8, linestyle=":")
        for k, c in enumerate(shown):
            label = in_legend(f"{short(subject.classes[c], 18)} {areas[c]:.2f}")
            axes.plot(*lines[c].T, color=hue(k), linestyle=dashes(k), label=label)
        _unit_axes(axes, *axes_of)
        if shown:
            axes.legend(loc="lower right" if roc else "lower left", fontsize=7.5)

    rows = [[subject.classes[c], *map(float, p)] for c, line in lines.items() for p in line]
    return Figure(name, title, words, draw, Table(("class", *axes_of), rows))


def _unit_axes(axes: Any, x: str, y: str) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _confidence(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the predicted class, and whether it is right, the surest first."""
    sure = subject.proba[np.arange(len(subject.y)), subject.y_pred]
    order = np.argsort(-sure, kind="stable")
    return sure[order], (subject.y_pred == subject.y)[order]


def _reliability(subject: Subject) -> Figure:
    """How often images were right, by how probable the model found it."""
    from scipy.stats import binomtest

    likeliest = subject.proba.argmax(axis=1)  # of which the calibration error is too
    sure, right = _confidence(replace(subject, y_pred=likeliest))
    bins = [b for b in np.array_split(np.arange(len(sure)), N_BINS) if len(b)][::-1]
    rows = []
    for b in bins:
        hit, n = int(right[b].sum()), len(b)
        ends = binomtest(hit, n).proportion_ci(method="wilson")
        rows.append([float(sure[b].mean()), hit / n, float(ends.low), float(ends.high), n])

    def draw(axes: Any, ink: Ink) -> None:
        proba, was, low, high, _ = np.array(rows).T
        axes.plot([0, 1], [0, 1], color=ink.soft, linewidth=0.8, linestyle=":")
        axes.errorbar(proba, was, yerr=np.clip([was - low, high - was], 0, 1), color=ink.accent,
                      marker="o", markersize=4, linewidth=1, ecolor=ink.soft,
                      elinewidth=0.8)  # fmt: skip
        _unit_axes(axes, "probability of the likeliest class", "share that was right")

    ece = subject.estimate["calibration"]["ece"]
    words = (
        f"{counted(len(rows), 'equal-count bin')} of images, with 95 % Wilson intervals. On the "
        "dotted line probabilities are right; below it the model is too sure. Expected "
        f"calibration error {ece:.3f}."
    )
    columns = ("mean_probability", "share_right", "low", "high", "images")
    return Figure("reliability", "Reliability", words, draw, Table(columns, rows))


def _coverage(subject: Subject) -> Figure:
    """Accuracy of the surest share of images."""
    sure, right = _confidence(subject)
    n = np.arange(1, len(sure) + 1)
    points = _thinned(np.column_stack([n / len(sure), np.cumsum(right) / n, sure]))
    at = {share: right[: max(1, round(share * len(right)))].mean() for share in (1.0, 0.8, 0.5)}

    def draw(axes: Any, ink: Ink) -> None:
        few = points[:, 0] * len(sure) >= min(10, len(sure))  # of fewer images it says nothing
        axes.plot(*points[few, :2].T, color=ink.accent)
        axes.set_xlim(0, 1.01)
        axes.set_xlabel("share of images answered, the surest first (coverage)")
        axes.set_ylabel("accuracy of those answered")

    words = "Of " + ", of ".join(
        f"{'all images' if s == 1 else f'the surest {100 * s:.0f} %'} {percent(a)} are right"
        for s, a in at.items()
    )
    return Figure(
        "coverage_accuracy",
        "Accuracy by coverage",
        words + ".",
        draw,
        Table(("coverage", "accuracy", "least_probability"), points.tolist()),
    )


def _threshold(subject: Subject) -> Figure:
    """What a least probability for an answer does."""
    sure, right = _confidence(subject)
    limits = np.linspace(0, 1, 101)
    rows: list[list[Any]] = []
    for limit in limits:
        kept = sure >= limit
        accuracy = float(right[kept].mean()) if kept.any() else None
        rows.append([float(limit), float(kept.mean()), accuracy])

    def draw(axes: Any, ink: Ink) -> None:
        axes.plot(limits, [r[1] for r in rows], color=hue(1), linestyle="--", label="answered")
        axes.plot(limits, [np.nan if r[2] is None else r[2] for r in rows], color=ink.accent,
                  label="right, of those answered")  # fmt: skip
        _unit_axes(axes, "least probability for an answer", "share of images")
        axes.legend(loc="lower left", fontsize=8)

    words = (
        "What --abstain-below would do: how many images are answered, and how many of these are "
        "right. Choose it on other images than these where the number is to be reported."
    )
    columns = ("threshold", "coverage", "accuracy")
    return Figure("threshold", "Threshold of confidence", words, draw, Table(columns, rows))
