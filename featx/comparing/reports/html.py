"""One page of HTML that needs nothing else: no script, no font, no picture, no address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx.comparing.layout import Block, Plot, Table, lay_out
from featx.comparing.reports._plot import draw
from featx.pages import Markup, element, page, table

__all__ = ["PLUGIN"]


def _write(document: Mapping[str, Any]) -> str:
    first, *rest = lay_out(document)
    assert not isinstance(first, Plot | Table)
    body = [element("p", sentence, class_="verdict") for sentence in first.sentences]
    for block in rest:
        body += [element("h2", block.title), *_block(block)]
    return page("Comparison of runs", *body)


def _block(block: Block) -> Iterator[Markup]:
    if isinstance(block, Table):
        yield table(block.columns, block.rows, block.words)
        if block.note:
            yield element("p", block.note, class_="note")
    elif isinstance(block, Plot):
        yield draw(block)
        runs = [
            f"{i} {point.label}: {block.metric} {point.value:.3f}, {point.cost_s:,.1f} s"
            for i, point in enumerate(block.points, start=1)
        ]
        words = "Disc: on the front. Square: beaten. Bars: 95 % intervals. "
        yield element("p", words + "; ".join(runs) + ".", class_="note")
    else:
        yield element("ul", *(element("li", sentence) for sentence in block.sentences))


PLUGIN = _write
