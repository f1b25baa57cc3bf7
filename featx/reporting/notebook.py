"""A finished run as a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterator

from featx.files import printable
from featx.reporting.blocks import Block, Code, Heading, Paragraph
from featx.reporting.html import fragment
from featx.reporting.tables import class_table, estimate_table, hardest_first
from featx.runs import Run

MOST_CLASSES = 10


def run_html(run: Run) -> str:
    """What it is, how good, and its classes, as part of a page."""
    return fragment(list(_blocks(run)))


def _blocks(run: Run) -> Iterator[Block]:
    estimate = run.results.estimate.document()
    yield Heading(f"Run {run.name}", 4)
    yield Paragraph(f"{run.summary}. {estimate['description'].capitalize()}.")
    yield estimate_table(estimate, {})
    ranked = hardest_first(estimate["per_class"])
    if len(ranked) > MOST_CLASSES:
        yield Paragraph(f"The {MOST_CLASSES} hardest of {len(ranked)} classes:")
    yield class_table(ranked[:MOST_CLASSES], ("recall", "precision", "f1"))
    page = run.folder / "report.html"
    if page.is_file():
        yield Paragraph(["Its page: ", Code(printable(str(page)))])


Run.in_notebook = staticmethod(run_html)
