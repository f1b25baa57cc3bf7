"""Markdown with tables, in which no name is taken for markup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featx.reporting.comparison import comparison_blocks
from featx.reporting.markdown import markdown


def _write(document: Mapping[str, Any]) -> str:
    return markdown("Comparison", comparison_blocks(document))


PLUGIN = _write
