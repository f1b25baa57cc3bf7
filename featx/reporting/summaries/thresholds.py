"""Operating points and the threshold in force, as sentences and tables for a person."""

from __future__ import annotations

import math
from collections.abc import Iterator

from featx.console import counted
from featx.files import printable
from featx.numbers import NOTHING, in_percent, interval
from featx.reporting.blocks import Block, Heading, Paragraph, Table
from featx.types import SITES, Row

COLUMNS = ("asked for", "cutoff", "recall, %", "precision, %", "false alarms per 1,000 images")
SHORT = ("likeliest", "recall=0.7", "recall=0.8", "recall=0.9", "recall=0.95", "recall=0.99")
MEASURED = {
    "test": "measured on the test split",
    "holdout": "measured on the images held out",
    "nested": "each fold by the cutoff that the other folds give (nested cross-validation)",
    SITES: "each group by the cutoff that the other groups give (every group left out by itself)",
    "repeated": "each fold by the cutoff that the other folds give (repeated cross-validation)",
    "evaluated": "measured on these images",
    "cv": "each fold by the cutoff that the other folds give",
}
DIAGNOSTIC = {
    "recall": "sensitivity",
    "specificity": "specificity",
    "precision": "PPV (positive predictive value)",
    "npv": "NPV (negative predictive value)",
}


def cutoff_text(cutoff: float | None) -> str:
    """A cutoff, which may be very near to 0 or to 1: two or three digits of what it differs by."""
    if cutoff is None:
        return NOTHING
    if cutoff < 0.9 or cutoff >= 1:
        return f"{cutoff:.3g}"
    return f"{cutoff:.{1 - math.floor(math.log10(1 - cutoff))}f}"


def threshold_sentence(decided: Row) -> str:
    """Which threshold is in force, what it finds and costs, and whether that was asked for."""
    name, _, asked = str(decided["asked"]).rpartition(":")
    name = printable(name)
    metric, _, target = asked.partition("=")
    cutoff = decided.get("cutoff")
    chosen = f" from a probability of {cutoff_text(cutoff)} on" if cutoff is not None else ""
    wanted = "" if metric == "cutoff" else f" ({asked})"
    found = [f"Threshold in force: {name} is predicted{chosen}{wanted}"]
    shares = {
        "recall": ("recall", "no image is of this class"),
        "precision": ("precision", "this class is never predicted"),
    }
    told = [
        f"{words} undefined ({why})" if row["value"] is None else f"{words} {in_percent(row)}"
        for key, (words, why) in shares.items()
        if (row := decided.get(key)) is not None
    ]
    if (alarms := decided.get("false_alarms")) is not None:
        told.append(f"{interval(alarms, 1)} false alarms per 1,000 images")
    if told:
        found.append(": " + ", ".join(told))
    if (prevalence := decided.get("prevalence")) is not None:
        found.append(f", at a prevalence of {100 * prevalence:g} %")
    return "".join(found) + _missed(decided, metric, target)


def threshold_blocks(operating: Row) -> Iterator[Block]:
    """The sentence of the threshold in force, where there is one, and what warns of it."""
    if (decided := operating.get("in_force")) is not None:
        yield Paragraph(f"{threshold_sentence(decided)}.")
        if decided.get("warning"):
            yield Paragraph(f"{decided['warning']}.")


def _missed(decided: Row, metric: str, target: str) -> str:
    """Where the target is not reached on the images that did not choose the cutoff."""
    row = None if metric == "cutoff" else decided.get(metric.replace("-", "_"))
    if row is None or row["value"] is None:
        return ""
    if metric == "false-alarms":
        limit = float(target.partition("/")[0])
        if round(row["value"], 1) > round(limit, 1):
            return f"; that is more than the {limit:g} asked for"
        return ""
    if round(row["value"], 3) < round(float(target), 3):
        return f"; its {metric} is below the {100 * float(target):g} % asked for"
    return ""


def points_table(points: Row, asked: tuple[str, ...] | None = None) -> Table:
    """The operating points of one class; all, or those ``asked`` for."""
    rows = [
        [
            asked_words(point["asked"]),
            cutoff_text(point["cutoff"]),
            *(interval(point[k], 1, scale=100) for k in ("recall", "precision")),
            interval(point["false_alarms"], 1),
        ]
        for point in points["points"]
        if asked is None or point["asked"] in asked
    ]
    return Table(COLUMNS, rows)


def asked_words(asked: str) -> str:
    """``recall 95 %``."""
    if asked == "likeliest":
        return "likeliest class"
    metric, _, target = asked.partition("=")
    if metric == "cutoff":
        return f"cutoff {cutoff_text(float(target))}"
    if metric == "false-alarms":
        return f"false alarms {target.replace('/', ' per ')}"
    return f"{metric} {100 * float(target):g} %"


def evaluated_words(operating: Row) -> str:
    """What the rates are of."""
    how = MEASURED.get(operating["estimated_on"], MEASURED["cv"])
    chosen = "out-of-fold predictions of the training images"
    if operating["chosen_on"] == "validation":
        chosen = "predictions of the validation images"
    words = f"Cutoffs are chosen on {chosen}; what they achieve is "
    return words + ("measured with " if how.startswith("each") else "") + how + "."


def short_points(operating: Row | None) -> Iterator[Block]:
    """The class that is looked for: what a few recalls cost."""
    if operating is None or operating.get("positive") is None:
        return
    name = operating["positive"]
    points = operating["classes"][name]
    n, rest = points["images"], points["others"]
    yield Heading(f"What recall of {name} costs ({n:,} of {counted(n + rest, 'image')})")
    yield points_table(points, SHORT)


def diagnostic_table(operating: Row) -> Iterator[Block]:
    """Of two classes: sensitivity and the like, as it is decided now."""
    name = operating.get("positive")
    if name is None or len(operating["classes"]) != 2:
        return
    points = operating["classes"][name]
    now = operating.get("in_force") or points["points"][0]
    prevalence = now.get("prevalence") or points.get("prevalence")
    at = (
        f"at a prevalence of {100 * prevalence:g} %"
        if prevalence
        else (
            f"at the prevalence of these images, "
            f"{100 * points['images'] / max(points['images'] + points['others'], 1):.3g} %"
        )
    )
    rows = [[words, in_percent(now[key])] for key, words in
            DIAGNOSTIC.items() if now.get(key) is not None]  # fmt: skip
    yield Heading(f"As a test for {name}, {at}")
    yield Table(("", "value [95 % interval]"), rows)
    if not prevalence:
        yield Paragraph(
            "PPV and NPV change with the prevalence: give that of the images to be scored with "
            "--prevalence.",
            "note",
        )
