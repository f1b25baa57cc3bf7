"""An evaluation, as the terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx import console
from featx.files import printable
from featx.reporting.blocks import Block, Heading, Points, Table
from featx.reporting.by import by_blocks
from featx.reporting.evaluated import evaluation_sentences, likeness_sentences
from featx.reporting.tables import class_table, estimate_blocks, hardest_first
from featx.reporting.terminal import show
from featx.runs import Run

__all__ = ["print_evaluation"]

MOST_CLASSES = 20


def print_evaluation(run: Run) -> None:
    """Print what was found in sentences, with ``-v`` every table, and where the rest is."""
    results = run.results.document()
    show(list(_blocks(results, tables=console.verbosity() > 0)))
    page = run.folder / "report.html"
    if page.is_file():
        console.log(f"\nPage: {printable(str(page))}")
    console.log(f"Predictions: {printable(str(run.folder / 'predictions.csv'))}")


def _blocks(results: Mapping[str, Any], *, tables: bool) -> Iterator[Block]:
    yield Points([*evaluation_sentences(results), *likeness_sentences(results)])
    if not tables:
        return
    yield Heading("Estimate")
    yield from estimate_blocks(results)
    yield from by_blocks(results)
    rows = hardest_first(results["estimate"]["per_class"])
    title = "Classes"
    if len(rows) > MOST_CLASSES:
        title += f" ({MOST_CLASSES} hardest of {len(rows)}; all are in results.json)"
    yield Heading(title)
    table: Table = class_table(rows[:MOST_CLASSES], ("recall", "precision", "f1"))
    yield table
