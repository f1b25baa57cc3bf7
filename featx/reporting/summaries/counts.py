"""Counts for a person: a table of classes, a table of each column, and what to think of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from featx import console
from featx.files import printable
from featx.numbers import percent
from featx.reporting.blocks import Block, Heading, Points, Table
from featx.reporting.terminal import show
from featx.scoring.counting import ClassCount, CountedPart, Counts

MOST_PRINTED = 30  # classes, and values of a column
MOST_COLUMNS = 5  # classes beside each other in a table of sites


def print_counts(counts: Counts) -> None:
    """Print the tables, the sentences, and where the files are."""
    blocks: list[Block] = [class_table(counts, counts.ordered[:MOST_PRINTED])]
    if len(counts.classes) > MOST_PRINTED:
        console.log(f"The {MOST_PRINTED} most frequent of {len(counts.classes):,} classes; -o has "
                    "all.")  # fmt: skip
    blocks += part_tables(counts, MOST_PRINTED)
    show([*blocks, Points(counts.sentences())])
    if counts.audit is not None:
        console.text(
            f"\nAudit: {printable(counts.audit)} ({console.counted(counts.drawn, 'image')}). Fill "
            f"its column label in, then: --audited {printable(counts.audit)}"
        )
    for what, path in (("Counts", counts.output), ("Page", counts.page)):
        if path is not None:
            console.text(f"{what}: {printable(path)}")


def class_table(counts: Counts, classes: Sequence[ClassCount]) -> Table:
    """A row for each class of the whole folder."""
    labelled = counts.audited or counts.labelled
    rows = [
        [c.name, c.predicted, c.audited + c.labelled if labelled else "", c.count,
         f"{c.low:,} to {c.high:,}", percent(counts.whole.share(c.count)),
         f"{percent(counts.whole.share(c.low))} to {percent(counts.whole.share(c.high))}"]
        for c in classes
    ]  # fmt: skip
    columns = ("class", "predicted", "labelled", "count", "95 % interval", "share", "interval")
    return Table(columns, rows).kept()


def part_tables(counts: Counts, most: int) -> Iterator[Block]:
    """A table for each column: a row for each value, with the most frequent and new classes."""
    new = list(counts.new_classes)[:MOST_COLUMNS]
    shown = [c.name for c in counts.ordered[:MOST_COLUMNS] if c.name not in new] + new
    for by in dict.fromkeys(part.by for part in counts.parts if part.by):
        parts = [part for part in counts.parts if part.by == by]
        yield Heading(f"By {by}")
        yield Table([by, "images", *shown], [_row(part, shown) for part in parts[:most]])


def _row(part: CountedPart, shown: Sequence[str]) -> list[object]:
    found = {c.name: c for c in part.classes}
    cells = [f"{found[k].count:,} [{found[k].low:,}, {found[k].high:,}]" for k in shown]
    return [part.value, part.images, *cells]
