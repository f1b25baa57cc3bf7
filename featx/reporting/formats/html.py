"""One page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from featx.reporting.comparison import comparison_blocks
from featx.reporting.disagreements import disagreement_blocks
from featx.reporting.html import page


def _write(document: Mapping[str, Any]) -> str:
    blocks = [
        replace(chapter, blocks=[*chapter.blocks, *disagreement_blocks(document)])
        if chapter.key == "images" else chapter
        for chapter in comparison_blocks(document)
    ]  # fmt: skip
    return page("Comparison of runs", blocks)


PLUGIN = _write
