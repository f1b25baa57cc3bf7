"""A comparison as tables for a person."""

from __future__ import annotations

from featx.comparing.compare import Comparison
from featx.reporting.comparison import comparison_blocks
from featx.reporting.terminal import show

__all__ = ["print_comparison"]


def print_comparison(comparison: Comparison) -> None:
    """Print what the reports hold, the verdict last: it is what stays on the screen."""
    verdict, *blocks = comparison_blocks(comparison.document)
    show([*blocks, verdict])
