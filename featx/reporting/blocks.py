"""What a page, a card or a printed summary is made of, before any format.

A result becomes a list of blocks; `featx.reporting.html`, `featx.reporting.markdown` and
`featx.reporting.terminal` write them. Text is plain text in all of them: each format escapes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from featx.reporting.ink import Ink


class Strong(str):
    """Text that stands out."""

    __slots__ = ()


class Code(str):
    """Text to be typed."""

    __slots__ = ()


#: Plain text, or its parts, some of which are `Strong` or `Code`.
Text = str | Sequence[str]


@dataclass(frozen=True)
class Heading:
    """A heading below that of a section."""

    text: str
    level: int = 3


@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    text: Text
    role: Literal["", "verdict", "note"] = ""


@dataclass(frozen=True)
class Points:
    """Sentences one below the other; as verdicts they are what the page is read for."""

    texts: Sequence[Text]
    role: Literal["", "verdict"] = ""


class Bar(float):
    """A share of the longest bar, drawn on a page beside its number."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """Rows of values, which `featx.numbers.cell` writes; ``words`` are the columns of text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    words: Collection[int] = frozenset({0})

    def kept(self) -> Table:
        """Without the columns that are empty in every row."""
        kept = [i for i in range(len(self.columns)) if any(row[i] not in ("", None)
                                                           for row in self.rows)]  # fmt: skip
        rows = [[row[i] for i in kept] for row in self.rows]
        words = frozenset(k for k, i in enumerate(kept) if i in self.words)
        return Table([self.columns[i] for i in kept], rows, words)


@dataclass(frozen=True)
class Figure:
    """One figure of numbers.

    Parameters
    ----------
    name : str
        Of the files, without ending.
    title, words : str
        Above it, and what it shows, for whoever does not see it too.
    draw : callable
        ``draw(axes, ink)`` on matplotlib's axes.
    table : Table
        The numbers that are drawn.
    size : tuple of float
        Width and height in inches.
    cells : sequence of int
        Of a confusion matrix, the codes of its classes: a click on a cell shows its images in the
        page's `Browser`.
    """

    name: str
    title: str
    words: str
    draw: Callable[[Any, Ink], None]
    table: Table
    size: tuple[float, float] = (5.2, 3.9)
    cells: Sequence[int] = ()


@dataclass(frozen=True)
class Figures:
    """Figures, as many beside each other as there is room for."""

    figures: Sequence[Figure]
    wide: bool = False


@dataclass(frozen=True)
class Picture:
    """A small picture as a ``data:`` address, empty where there is none, and what it shows."""

    address: str
    words: str
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class About:
    """The image of a card, as a decision about it needs it (`featx.data.corrections`).

    Parameters
    ----------
    id : str
    sha256 : str
        Of its bytes, or the first 16 digits; empty where it is not known.
    label, guess : str
        What it is labelled, and what it may be instead; empty for none.
    near : str
        Id of an image that it may belong with; empty for none.
    """

    id: str
    sha256: str = ""
    label: str = ""
    guess: str = ""
    near: str = ""


@dataclass(frozen=True)
class Card:
    """Pictures with a caption, lines below it, and cards of images that are near."""

    pictures: Sequence[Picture]
    caption: Text = ""
    lines: Sequence[str] = ()
    nearest: Sequence[Card] = ()
    about: About | None = None


@dataclass(frozen=True)
class Gallery:
    """Cards beside each other, large or small."""

    cards: Sequence[Card]
    kind: Literal["cards", "figures", "tiles", "strip"] = "tiles"


@dataclass(frozen=True)
class Browser:
    """Evaluated images that a page filters, sorts and shows; they need its script.

    Parameters
    ----------
    classes : sequence of str
    columns : sequence of str
        Keys of each row: ``id``, ``y``, ``y_pred`` (codes of classes), ``p``, ``p_true``, ``fold``
        and ``group`` (None for none), ``sha256`` and ``src``, the picture's address or None.
    rows : sequence of sequence
        Mistakes first, the most confident first.
    """

    classes: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Decisions:
    """Where the decisions about a page's images are counted and downloaded as a table.

    Parameters
    ----------
    key : str
        Under which a browser keeps them: of this data set and page alone.
    classes : sequence of str
        That an image may be labelled.
    """

    key: str
    classes: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names and values, at the head of a page."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Terms:
    """What terms mean, in the words of `featx.reporting.glossary`."""

    names: Sequence[str]


@dataclass(frozen=True)
class CodeBlock:
    """Code on lines of its own."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown on demand."""

    summary: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Group:
    """Blocks that belong together; ``kind`` says how they are placed."""

    blocks: Sequence[Block]
    kind: Literal["sets", "set", "samples", "sample", "sheet"]


@dataclass(frozen=True)
class Mark:
    """One image on a map: where, its look (a hue and a shape, or none), and what it is."""

    x: int
    y: int
    look: int | None
    wrong: bool
    words: str
    code: int


@dataclass(frozen=True)
class Map:
    """Maps of the same images.

    Parameters
    ----------
    maps : sequence of (str, sequence of Mark)
        Titles and marks, in the same order in each.
    legend : sequence of (int, str)
        Looks and names.
    more : str
        What has no look of its own.
    choices : sequence of (int, str)
        Codes and names of the classes that can be pointed out.
    sheet : Picture
        The pictures of all marks, row by row, in cells of ``cell_px``.
    """

    maps: Sequence[tuple[str, Sequence[Mark]]]
    legend: Sequence[tuple[int, str]]
    more: str
    choices: Sequence[tuple[int, str]]
    sheet: Picture
    cell_px: int


@dataclass(frozen=True)
class SliderPoint:
    """A cutoff that a slider stops at: its row of the table, what it achieves, and how to have it.

    ``alarm_rate`` is the share of the other classes' images that are predicted as the class; None
    where a rate is not defined.
    """

    cells: Sequence[str]
    words: str
    flag: str
    recall: float | None
    precision: float | None
    alarm_rate: float | None


@dataclass(frozen=True)
class SliderClass:
    """One class against the rest: the curves, and the points on them that a slider moves over.

    Parameters
    ----------
    name, words : str
    columns : sequence of str
        Of the table.
    points : sequence of SliderPoint
        Rising recall.
    start : int
        The point that is marked first: the one that decides now.
    roc, precision_recall : str
        Lines of the curves as the points of an SVG polyline, in hundredths.
    """

    name: str
    words: str
    columns: Sequence[str]
    points: Sequence[SliderPoint]
    start: int
    roc: str
    precision_recall: str


@dataclass(frozen=True)
class Sliders:
    """Classes with a slider each; only the first is open."""

    classes: Sequence[SliderClass]


@dataclass(frozen=True)
class Chapter:
    """Blocks under a heading, linked to by ``key``; without blocks it is left out."""

    key: str
    title: str
    blocks: Sequence[Block]


Block = (
    Heading | Paragraph | Points | Table | Figures | Gallery | CodeBlock | Folded | Group | Map
    | Browser | Decisions | Facts | Sliders | Terms | Chapter
)  # fmt: skip


def readable(blocks: Sequence[Block]) -> list[Block]:
    """The blocks without figures, pictures and what is shown on demand, for formats of text alone.

    Sections of nothing else are left out.
    """
    found: list[Block] = []
    for block in blocks:
        if isinstance(block, Chapter):
            block = replace(block, blocks=readable(block.blocks))
            found += [block] if block.blocks else []
        elif isinstance(block, Heading | Paragraph | Points | Table | CodeBlock):
            found.append(block)
    return found
