"""One page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featx.reporting.comparison import comparison_blocks
from featx.reporting.html import page

__all__ = ["PLUGIN"]


def _write(document: Mapping[str, Any]) -> str:
    return page("Comparison of runs", comparison_blocks(document))


PLUGIN = _write
