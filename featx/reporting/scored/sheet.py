"""Thumbnails of new images: some by a property, and a sheet of each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from featx.console import counted
from featx.files import printable
from featx.pages import Markup, element
from featx.reporting.pictures import shown_picture, small_pictures
from featx.reporting.scored.contents import Scored

__all__ = ["TILES", "contact_sheet", "tiles"]

Int = NDArray[np.int64]

SIDE_PX = 88
MOST_A_SIDE = 8  # surest and least sure images of a class
MOST_TILES = 1200  # of a contact sheet: about 2 MB
LONGEST = 40  # name below a picture

TILES = """
.tiles { display: grid; gap: .5rem; padding: 0; margin: .3rem 0 .8rem; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(5.6rem, 1fr)); }
.tiles li { min-width: 0; font-size: .7rem; line-height: 1.25; overflow-wrap: anywhere; }
.tiles img, .tiles .gap { display: block; width: 100%; height: 88px; object-fit: contain;
  object-position: left; }
.tiles strong { display: block; font-weight: 600; }
.tiles span { color: var(--soft); }
.sheet { margin: 0 0 1.2rem; }
.sheet h3 { margin-bottom: 0; }
.sheet p { margin: .4rem 0 0; }
@media print { .tiles li { break-inside: avoid; } }
"""


def tiles(scored: Scored, rows: Int, *, named: bool = True) -> Markup:
    """One tile an image: its picture, what is predicted and how surely, and its name.

    Parameters
    ----------
    scored : Scored
    rows : ndarray of shape (n,), int64
    named : bool, default=True
        Whether each tile names the predicted class; where all have one, it is said above.
    """
    pictures = small_pictures([scored.paths[i] for i in rows], SIDE_PX)
    sure = scored.sure
    items = []
    for i, picture in zip(rows.tolist(), pictures, strict=True):
        label, name = printable(scored.classes[scored.predicted[i]]), printable(scored.ids[i])
        shown = shown_picture(picture, SIDE_PX, f"predicted {label}: {name}", "small")
        said = f"{label} {sure[i]:.0%}" if named else f"{sure[i]:.0%}"
        short = name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
        items.append(element("li", shown, element("strong", said), element("span", short)))
    return element("ul", *items, class_="tiles")


def contact_sheet(scored: Scored) -> Iterator[Markup]:
    """The surest and the least sure images of each predicted class, the largest class first."""
    counts = scored.counts
    order = [c for c in np.argsort(-counts, kind="stable").tolist() if counts[c]]
    a_side = max(1, min(MOST_A_SIDE, MOST_TILES // (2 * max(len(order), 1))))
    shown = order[: MOST_TILES // (2 * a_side)]
    if len(shown) < len(order):
        yield element("p", f"Of the {len(shown):,} classes found most often, of {len(order):,}.")
    sure = scored.sure
    for c in shown:
        rows = np.flatnonzero(scored.predicted == c)
        rows = rows[np.argsort(-sure[rows], kind="stable")]
        title = f"{printable(scored.classes[c])}: {counted(len(rows), 'image')}"
        yield element("div", element("h3", title), *_sides(scored, rows, a_side), class_="sheet")


def _sides(scored: Scored, rows: Int, a_side: int) -> Sequence[Markup]:
    """Both ends of a class, or all of a small one."""
    if len(rows) <= 2 * a_side:
        return [element("p", "All, the surest first", class_="note"),
                tiles(scored, rows, named=False)]  # fmt: skip
    return [
        element("p", "Surest", class_="note"),
        tiles(scored, rows[:a_side], named=False),
        element("p", "Least sure", class_="note"),
        tiles(scored, rows[: -a_side - 1 : -1], named=False),
    ]
