"""Other columns that were fitted on: what they hold, what they gain, what to beware of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from featx.console import counted, first_few
from featx.files import printable
from featx.numbers import interval, number, p_value
from featx.reporting.blocks import Block, Paragraph, Points, Table
from featx.runs.tabular import gain_sentence
from featx.stats.metrics import metric_name
from featx.types import Row

MOST_NAMED = 8  # categories of a column


def tabular_sentences(results: Row) -> Iterator[str]:
    """Whether the columns help, and what to beware of in them."""
    tabular = results.get("tabular")
    if tabular is None:
        return
    if tabular["gain"] is not None:
        yield gain_sentence(tabular["gain"], tabular["used"])
    for column in tabular["columns"]:
        yield from column["warnings"]


def tabular_blocks(results: Row) -> Iterator[Block]:
    """A table of the columns, and the best row with them beside the best without."""
    tabular = results.get("tabular")
    if tabular is None:
        return
    yield Points(list(tabular_sentences(results)))
    columns = ["column", "holds", "values", "empty", "balanced accuracy alone"]
    rows = [
        [printable(c["name"]), _words(c), c["distinct"], c["empty"], c["alone"]]
        for c in tabular["columns"]
    ]
    yield Table(columns, rows, {0, 1}).kept()
    gain = tabular["gain"]
    if gain is None:
        return
    score = metric_name(gain["scoring"])
    yield Table(
        ["", score, "minus without", "p", "preferred on all images"],
        [
            ["without the columns", gain["without_columns"], "", "", gain["chosen_without"]],
            ["with the columns", gain["with_columns"], interval(gain["difference"], signed=True),
             p_value(gain["difference"]["p"]), gain["chosen_with"]],
        ],
        {0, 4},
    ).kept()  # fmt: skip
    yield Paragraph(
        f"Both predict the same {counted(gain['n_images'], 'image')}; in nested cross-validation "
        "each is selected without the fold that it predicts. 95 % interval: "
        f"{gain['method']}. A column alone is predicted from by a small tree, out of fold.",
        "note",
    )


def card_sentences(results: Row, columns: Sequence[Row]) -> Iterator[str]:
    """What a model's card says of the ``columns`` that it reads, and of those that were tried."""
    if columns:
        named = "; ".join(f"{printable(c['name'])}: {_words(c)}" for c in columns)
        yield (
            f"Other columns beside the embedding: {named}. Empty cells are imputed, and categories "
            "that are not among these are ignored."
        )
    yield from tabular_sentences(results)


def needed_table(columns: Sequence[Row], *, rows: bool) -> tuple[str, str]:
    """The table that such a model scores, and a sentence of what must be in it."""
    table = "ROWS.csv" if rows else "PHOTOS.csv"
    names = [*([] if rows else ["path"]), *(printable(c["name"]) for c in columns)]
    return table, f"{table} is a table with the columns {', '.join(names)}."


def _words(column: Row) -> str:
    """What the cells of a column may hold."""
    if column["kind"] == "category":
        named = [printable(name) for name in column["categories"]]
        return first_few(named, MOST_NAMED)
    if column["low"] is None:
        return "numbers"
    return f"numbers, {number(column['low'], 4, kind='g')} to {number(column['high'], 4, kind='g')}"
