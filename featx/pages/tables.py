"""Tables of a page."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from featx.pages.markup import Markup, breakable, element

__all__ = ["table"]


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[int] = (0,)
) -> Markup:
    """A table of texts that scrolls by itself, also by keyboard.

    Parameters
    ----------
    columns : sequence of str
    rows : sequence of sequence of str
        One text a column; `Markup` as it is, other text escaped.
    words : collection of int, default=(0,)
        Columns of words, which are left-aligned and may break; the others hold numbers.
    """

    def cell(name: str, text: str, column: int, **attributes: str) -> Markup:
        if column in words:
            attributes["class_"], text = "word", breakable(text)
        return element(name, text, **attributes)

    head = element("tr", *(cell("th", c, i, scope="col") for i, c in enumerate(columns)))
    body = [element("tr", *(cell("td", t, i) for i, t in enumerate(row))) for row in rows]
    drawn = element("table", element("thead", head), element("tbody", *body))
    return element("div", drawn, class_="scroll", tabindex=0, role="region", aria_label="table")
