"""Parts that pages are made of: sections, figures beside each other, long tables, bars."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from featx.pages import Markup, element, table
from featx.reporting.drawing import inline_svg
from featx.reporting.figures import Figure

__all__ = ["bar", "drawings", "folded", "sectioned"]

MOST_ROWS = 24  # of a table before the rest is folded away
FIRST_ROWS = 10
BROAD = 5.5  # inches


def drawings(drawn: Sequence[Figure], *, wide: bool = False) -> Markup:
    """Figures with their titles and words, as many beside each other as there is room for."""
    parts = []
    for figure in drawn:
        label = f"{figure.title}. {figure.words}"
        # What holds much is wider than a telephone, and scrolls by itself, also by keyboard.
        broad = {"class_": "broad", "tabindex": "0"} if figure.size[0] > BROAD else {}
        drawing = element("div", inline_svg(figure), role="img", aria_label=label, **broad)
        note = element("p", figure.words, class_="note")
        parts.append(element("figure", element("figcaption", figure.title), drawing, note))
    return element("div", *parts, class_="drawings wide" if wide else "drawings")


def bar(share: float) -> Markup:
    """A share of the longest bar, beside its number."""
    drawn = element("rect", width=f"{100 * share:.1f}", height="10", class_="h0")
    return element("svg", drawn, viewBox="0 0 100 10", width="100", height="10", aria_hidden="true")


def folded(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    more: str,
    *,
    words: Collection[int] = (0,),
) -> Markup:
    """A table; one of more than 24 rows shows 10, and all of them on demand, as ``more`` says."""
    if len(rows) <= MOST_ROWS:
        return table(columns, rows, words)
    everything = element("details", element("summary", more), table(columns, rows, words))
    return element("div", table(columns, rows[:FIRST_ROWS], words), everything)


def sectioned(
    headings: Mapping[str, str], sections: Mapping[str, Sequence[Markup]]
) -> Iterator[Markup]:
    """Sections under their headings, after links to them; one without content is left out.

    Parameters
    ----------
    headings : mapping of str to str
        Key -> heading.
    sections : mapping of str to sequence of Markup
        Key, which is the section's id -> its content, in the order of the page.
    """
    filled = {key: blocks for key, blocks in sections.items() if blocks}
    links = [element("a", headings[key], href=f"#{key}") for key in filled]
    yield element("nav", *links, aria_label="sections")
    for key, blocks in filled.items():
        yield element("section", element("h2", headings[key]), *blocks, id=key)
