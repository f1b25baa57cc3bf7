"""A finished run as tables for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx import console
from featx.config import ExtractConfig, score_command
from featx.reporting.blocks import Block, Heading, Points
from featx.reporting.summaries.curve import curve_blocks
from featx.reporting.summaries.trust import trust_sentences
from featx.reporting.tables import candidate_blocks, class_table, estimate_blocks, hardest_first
from featx.reporting.terminal import show
from featx.runs import Run

__all__ = ["judged_blocks", "print_run"]

MOST_CLASSES = 20


def print_run(run: Run, extract: ExtractConfig) -> None:
    """Print candidates, the estimate with its intervals, the classes, and what to do next."""
    results = run.results
    blocks = [
        Heading(f"Search by {results['scoring']}, cross-validated"),
        *candidate_blocks(results),
        *judged_blocks(results),
    ]
    if results["learning_curve"] is not None:
        blocks += curve_blocks(results["learning_curve"])
    show(blocks)
    console.log(f"\nNext: {score_command(str(run.folder), extract)}")


def judged_blocks(results: Mapping[str, Any]) -> Iterator[Block]:
    """The estimate, how far to trust an answer, and the classes, the hardest first if many."""
    yield Heading("Estimate")
    yield from estimate_blocks(results)
    if results.get("trust"):
        yield Heading("How far to trust a prediction")
        yield Points(list(trust_sentences(results["trust"])))
    per_class, title = results["estimate"]["per_class"], "Classes"
    rows = list(per_class.items())
    if len(rows) > MOST_CLASSES:
        rows = hardest_first(per_class)[:MOST_CLASSES]
        title += f" ({MOST_CLASSES} hardest of {len(per_class)}; all are in results.json)"
    yield Heading(title)
    yield class_table(rows, ("recall", "precision", "f1"))
