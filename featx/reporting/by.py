"""Sites, cameras, months: every value of a column in a table and a figure, the worst one named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from featx.console import counted
from featx.files import printable
from featx.numbers import interval, number
from featx.reporting.blocks import Block, Figure, Heading, Paragraph, Table
from featx.reporting.ink import Ink
from featx.stats.metrics import metric_name
from featx.stats.subsets import FEW
from featx.types import Row

BY_FIGURE = "by_"  # before the names of its figures
LONGEST = 24  # letters of a name in a figure
MOST_NAMED = 3  # columns in the verdict


def by_sentences(results: Row) -> Iterator[str]:
    """What to expect of the next site, and the worst value of each column."""
    if sites := results.get("sites"):
        yield _next_site(results, sites)
    for by in (results.get("by") or [])[:MOST_NAMED]:
        if by["worst"] is not None:
            yield _worst(by)


def _next_site(results: Row, sites: Row) -> str:
    metric = _metric(results, sites["metrics"])
    row, name = sites["metrics"][metric], metric_name(metric)
    level = (results.get("estimates") or {}).get("image_level")
    mixed = ""
    if level is not None and level["metrics"][metric]["value"] is not None:
        value = number(level["metrics"][metric]["value"])
        mixed = f"; with the sites mixed over the folds it is {value}"
    n = row["n_sites"]
    if row["low"] is None:
        return f"The {name} of the next site cannot be predicted from {n} sites{mixed}."
    return (
        f"At the next site, expect {name} between {number(row['low'])} and {number(row['high'])} "
        f"({100 * sites['level']:g} % prediction interval from {n} sites: mean "
        f"{number(row['mean'])}, standard deviation {number(row['sd'])}){mixed}."
    )


def _metric(results: Row, known: Row) -> str:
    metric = str(results["scoring"]).removeprefix("neg_")
    return metric if metric in known else "accuracy"


def _worst(by: Row) -> str:
    rows = {row["value"]: row for row in by["rows"]}
    worst, best, name = rows[by["worst"]], rows[by["best"]], metric_name(by["metric"])
    overall = by["overall"][by["metric"]]
    verdict = "chance can explain the gap to all images"
    if by["worst_below"]:
        verdict = "beyond chance worse than all images"
    elif worst["score"]["low"] is None:
        verdict = "too few images for an interval"
    return (
        f"Worst by {printable(by['column'])}: {printable(by['worst'])!r} with {name} "
        f"{interval(worst['score'])} on {counted(worst['images'], 'image')} ({verdict}, "
        f"{number(overall)}); best is {printable(by['best'])!r} with "
        f"{number(best['score']['value'])}."
    )


def by_blocks(results: Row) -> Iterator[Block]:
    """A table of each column with what its intervals mean, and its figure."""
    if sites := results.get("sites"):
        yield Paragraph(_next_site(results, sites))
        yield Paragraph(
            f"{sites['method']}; {100 * sites['level']:g} %. It is about the score measured at a "
            "further site with about as many images, if sites are drawn alike.",
            "note",
        )
    for by in results.get("by") or []:
        yield Heading(f"By {printable(by['column'])}")
        yield _table(by)
        yield Paragraph(_note(by), "note")


def compared_by_blocks(document: Row) -> Iterator[Block]:
    """A table of each column with a score for every run."""
    for by in document.get("by") or []:
        rows = [
            [_name(row), row["images"], *row["scores"], f"fewer than {FEW} images" * row["few"]]
            for row in by["rows"]
        ]
        columns = [printable(by["column"]), "images", *(run["label"] for run in document["runs"])]
        yield Heading(f"{metric_name(by['metric']).capitalize()} by {printable(by['column'])}")
        yield Table([*columns, ""], rows, {0, len(columns)}).kept()
        yield Paragraph(_note(by), "note")


def by_figures(results: Row) -> Iterator[Figure]:
    """A forest plot of each column."""
    for i, by in enumerate(results.get("by") or []):
        rows = [row for row in by["rows"] if row["score"]["value"] is not None]
        if rows:
            yield _forest(f"{BY_FIGURE}{i + 1}", by, rows)


def _table(by: Row) -> Table:
    metric = by["metric"]
    columns = [printable(by["column"]), "images", "classes", "accuracy"]
    columns += [] if metric == "accuracy" else [metric_name(metric)]
    columns += ["drawn", ""]
    rows = []
    for row in by["rows"]:
        scores = [row["accuracy"], *([] if metric == "accuracy" else [row["score"]])]
        drawn = counted(row["units"], "image" if row["unit"] == "images" else "unit")
        rows.append([_name(row), row["images"], row["classes"], *scores, drawn, _mark(by, row)])
    return Table(columns, rows, {0, len(columns) - 2, len(columns) - 1}).kept()


def _name(row: Row) -> str:
    if row["pooled"]:
        return f"{counted(row['pooled'], 'other value')} together"
    return printable(row["value"])


def _mark(by: Row, row: Row) -> str:
    if row["few"]:
        return f"fewer than {FEW} images"
    if row["pooled"]:
        return ""
    return "worst" if row["value"] == by["worst"] else "best" if row["value"] == by["best"] else ""


def _note(by: Row) -> str:
    text = (
        f"Intervals are adjusted for {counted(by['n_intervals'], 'value')} ({by['adjustment']}). "
        "They draw units (groups, exact copies) of each value; of a value that is one group they "
        "draw its images, and hold for this group alone."
    )
    if by["metric"] == "balanced_accuracy":
        text += " Balanced accuracy averages over the classes that the value has."
    if by["without"]:
        text += f" {counted(by['without'], 'image', 'has/have')} no value and no row."
    return text


def _forest(name: str, by: Row, rows: Sequence[Row]) -> Figure:
    metric = metric_name(by["metric"])
    column = printable(by["column"])
    lines = [[_name(r), *(r["score"][k] for k in ("value", "low", "high")), r["images"]]
             for r in rows]  # fmt: skip
    words = (
        f"{metric.capitalize()} of every {column}, with intervals that hold together with 95 %; "
        "the dotted line is that of all images. Hollow: fewer than "
        f"{FEW} images."
    )
    draw = partial(_draw, rows=rows, overall=by["overall"][by["metric"]], metric=metric)
    columns = (column, "value", "low", "high", "images")
    size = (5.2, min(1.2 + 0.28 * len(rows), 9.0))
    return Figure(name, f"{metric.capitalize()} by {column}", words, draw,
                  Table(columns, lines), size)  # fmt: skip


def _draw(axes: Any, ink: Ink, rows: Sequence[Row], overall: float | None, metric: str) -> None:
    if overall is not None:
        axes.axvline(overall, color=ink.soft, linewidth=0.8, linestyle=":")
    for at, row in enumerate(rows):
        score = row["score"]
        if score["low"] is not None and score["high"] is not None:
            axes.plot([score["low"], score["high"]], [at, at], color=ink.soft, linewidth=1.2)
        axes.plot([score["value"]], [at], "o", color=ink.accent, markersize=5,
                  fillstyle="none" if row["few"] else "full")  # fmt: skip
    axes.set_yticks(range(len(rows)), [_short(_name(row)) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(metric)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
