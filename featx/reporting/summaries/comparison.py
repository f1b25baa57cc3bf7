"""A comparison as tables for a person."""

from __future__ import annotations

from featx import console
from featx.comparing.compare import Comparison
from featx.comparing.layout import Plot, Table, lay_out

__all__ = ["print_comparison"]


def print_comparison(comparison: Comparison) -> None:
    """Print what the reports hold, the verdict last: it is what stays on the screen."""
    verdict, *blocks = lay_out(comparison.document)
    for block in [*blocks, verdict]:
        if isinstance(block, Table):
            console.table(block.title, block.columns, block.rows)
            if block.note:
                console.out(block.note)
        elif isinstance(block, Plot):
            continue  # the table of costs says the same
        else:
            console.out("\n".join([block.title, *(f"→ {text}" for text in block.sentences)]))
        if block is not verdict:
            console.out("")
