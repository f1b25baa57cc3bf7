"""Groups that an audit proposes, with pictures: what `featx.reporting.audit_page` shows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from featx.auditing.proposals import FoundGroups, Proposal
from featx.reporting.blocks import Block, Folded, Group, Paragraph, Strong, Table

SETS, IN_A_SET = 4, 6
MOST_OTHERS = 20
Gallery = Callable[[Sequence[int]], Block]


def groups_found(found: FoundGroups, gallery: Gallery) -> Iterator[Block]:
    """What is proposed, some groups of each with pictures, and what is not proposed and why.

    Parameters
    ----------
    found : FoundGroups
    gallery : callable
        Makes pictures of rows.
    """
    if found.taken:
        yield Paragraph(
            "These groups are in no column of the data set. Look at the pictures; if they belong "
            "together, featx fit DATASET --group groups.csv keeps them and the copies together."
        )
    for each in found.taken:
        number, rest = each.sentence.split(" by ", 1)
        yield Paragraph([Strong(number), f" by {rest}"])
        if each.suggestion.group_from is not None:
            yield Paragraph(f"The same from the paths: --group-from {each.suggestion.group_from}")
        if each.effect is not None:
            yield Paragraph(each.effect["sentence"])
        yield Group(list(_examples(each, gallery)), "sets")
    others = [each for each in found.proposals if each not in found.taken]
    if others:
        rows = [
            (each.suggestion.wording, each.suggestion.n_groups, each.trouble or "another is better")
            for each in others[:MOST_OTHERS]
        ]
        table = Table(("groups by", "groups", "why not"), rows, {0, 2})
        yield Folded("Other groupings that were considered, and why they are not proposed", [table])


def _examples(each: Proposal, gallery: Gallery) -> Iterator[Block]:
    """The largest group and others evenly down to the smallest of two."""
    codes = each.suggestion.codes
    counts = np.bincount(codes)
    order = np.argsort(-counts, kind="stable")[: int((counts > 1).sum())]
    for at in np.unique(np.linspace(0, len(order) - 1, SETS).astype(int)):
        rows = np.flatnonzero(codes == order[at])
        text = f"{len(rows):,} images" + (f", {IN_A_SET} shown" if len(rows) > IN_A_SET else "")
        pictures = gallery(rows[:IN_A_SET].tolist())
        yield Group([Paragraph(text), pictures], "set")
