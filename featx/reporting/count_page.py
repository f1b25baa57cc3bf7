"""The page of counts: classes with their intervals, sites, and what speaks against them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from featx import console
from featx.files import printable, write_atomic
from featx.reporting.blocks import Block, Chapter, Figure, Figures, Paragraph, Points, Table
from featx.reporting.html import page
from featx.reporting.ink import Ink
from featx.reporting.summaries.counts import class_table, part_tables
from featx.scoring.counting import Counts
from featx.system_errors import writing

MOST_DRAWN = 30
MOST_VALUES = 500


@console.stage("Writing the page")
def write_count_page(counts: Counts, place: Path) -> Counts:
    """Write the page; the counts know of it."""
    sites = list(part_tables(counts, MOST_VALUES))
    audit: list[Block] = []
    if counts.audit is not None:
        audit = [Paragraph(
            f"{console.counted(counts.drawn, 'image')} drawn for a person to label: "
            f"{printable(counts.audit)}. Fill its column label in; --audited reads it."
        )]  # fmt: skip
    blocks: list[Block] = [
        Chapter("found", "What was counted", [Points(counts.sentences(), "verdict")]),
        Chapter("classes", "Classes", [Figures([_intervals(counts)]),
                                       class_table(counts, counts.ordered)]),
        Chapter("by", "Parts of the folder", sites),
        Chapter("audit", "Audit", audit),
        Chapter("how", "How to read it", [Paragraph(text) for text in _how(counts)]),
    ]  # fmt: skip
    data = page(f"Counts of {counts.source}", blocks).encode("utf-8", "backslashreplace")
    with writing("the page", place):
        write_atomic(place, data)
    return replace(counts, page=os.fspath(place))


def _how(counts: Counts) -> list[str]:
    found = [
        "Counts are of the images of this folder that could be read, and add up to them. An "
        "interval of one class holds with 95 % probability; of many classes some will miss.",
        "Predicted is what the model predicts, errors included: rare classes are usually "
        "predicted too often, frequent ones too rarely.",
    ]
    if len(counts.parts) > 1:
        found.append(
            "Parts are counted each by itself, and their counts are then fitted to those of the "
            "folder, so that the values of a column and the images without one add up to it."
        )
    if counts.audited:
        found.append(
            "Audited images were drawn in strata by predicted class and doubt, and count as what "
            "they are labelled. Predictions of the others are trusted as far as the labels agree "
            "with them."
        )
    return found


def _intervals(counts: Counts) -> Figure:
    shown = counts.ordered[:MOST_DRAWN]
    height = 1.2 + 0.26 * len(shown)

    def draw(axes: Any, ink: Ink) -> None:
        places = list(range(len(shown)))
        axes.hlines(places, [c.low for c in shown], [c.high for c in shown], color=ink.accent,
                    linewidth=2)  # fmt: skip
        axes.plot([c.count for c in shown], places, "o", color=ink.accent, markersize=5,
                  label="count with 95 % interval")  # fmt: skip
        axes.plot([c.predicted for c in shown], places, "x", color=ink.ink, markersize=5,
                  label="predicted")  # fmt: skip
        axes.set_yticks(places, [printable(c.name)[:32] for c in shown])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("images")
        axes.legend(loc="lower right", fontsize=8)

    words = "Images of each class: the count with its 95 % interval, and what the model predicts."
    rows = [[c.name, c.predicted, c.count, c.low, c.high] for c in shown]
    table = Table(("class", "predicted", "count", "low", "high"), rows)
    return Figure("counts", "Counts with their intervals", words, draw, table, (7.0, height))
