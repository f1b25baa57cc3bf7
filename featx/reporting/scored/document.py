"""The page of a folder of new images, from what was found to the pictures of each class."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from featx.console import counted
from featx.files import printable
from featx.pages import Markup, element, page, table
from featx.reporting.look import LOOK
from featx.reporting.parts import bar, drawings, folded, sectioned
from featx.reporting.scored.contents import LEVEL, Scored
from featx.reporting.scored.figures import confidence, drift_figures, moved_most
from featx.reporting.scored.sheet import TILES, contact_sheet, tiles
from featx.reporting.scored.words import rests_on, sentences
from featx.reporting.words import percent

__all__ = ["write_scored_page"]

MOST_SHOWN = 24  # pictures of abstained images and of those far away
MOST_NAMED = 500  # names of them
N_PULLING = 8

HEADINGS = {
    "found": "Asked and found",
    "drift": "Drift",
    "classes": "Predicted classes",
    "confidence": "Confidence",
    "ood": "Out of distribution",
    "abstained": "Abstained",
    "unreadable": "Unreadable files",
    "sheet": "Contact sheet",
    "again": "Time, versions, and how to make it again",
}


def write_scored_page(scored: Scored) -> str:
    """The page as one self-contained HTML document.

    Parameters
    ----------
    scored : Scored

    Returns
    -------
    str
        Without any script.
    """
    some = len(scored.read) > 0
    sections = {
        "found": [element("p", text, class_="verdict lead") for text in sentences(scored)],
        "drift": list(_drift(scored)) if some else [],
        "classes": list(_classes(scored)) if some else [],
        "confidence": [drawings([confidence(scored)])] if some else [],
        "ood": list(_far(scored)),
        "abstained": list(_abstained(scored)),
        "unreadable": list(_unreadable(scored)),
        "sheet": list(contact_sheet(scored)),
        "again": list(_again(scored)),
    }
    body = sectioned(HEADINGS, sections)
    return page(f"Scores of {printable(scored.source)}", *body, style=LOOK + TILES)


def _drift(scored: Scored) -> Iterator[Markup]:
    drift = scored.drift
    if drift is None:
        return
    yield drawings(list(drift_figures(drift)))
    if drift.p_place <= LEVEL:
        k, up = moved_most(drift)
        places = drift.new_places[:, k]
        order = np.argsort(-places if up else places, kind="stable")[:N_PULLING]
        yield element("h3", "New images farthest that way")
        yield tiles(scored, drift.rows[order])
    yield element("p", rests_on(drift), class_="note")


def _classes(scored: Scored) -> Iterator[Markup]:
    counts, n, sure = scored.counts, len(scored.read), scored.sure
    drift = scored.drift
    columns = ["class", "images", "share"]
    columns += [] if drift is None else ["share of training images"]
    columns += ["", "median probability"]
    columns += [] if scored.abstained is None else ["abstained"]
    rows: list[list[str]] = []
    for c in np.argsort(-counts, kind="stable").tolist():
        own = scored.predicted == c
        row = [printable(scored.classes[c]), f"{counts[c]:,}", percent(counts[c] / n)]
        row += [] if drift is None else [percent(float(drift.old_shares[c]))]
        row += [bar(counts[c] / counts.max()), f"{np.median(sure[own]):.2f}" if own.any() else "–"]
        row += [] if scored.abstained is None else [f"{int((scored.abstained & own).sum()):,}"]
        rows.append(row)
    yield folded(columns, rows, f"all {len(rows):,} classes")
    if drift is not None:
        yield element(
            "p",
            f"Training images: what was predicted for {len(drift.old_places):,} of them by "
            "classifiers that had not seen them.",
            class_="note",
        )


def _far(scored: Scored) -> Iterator[Markup]:
    if scored.ood is None or scored.ood_scores is None:
        return
    far = np.flatnonzero(scored.ood)
    if not len(far):
        yield element("p", "No image lies farther from the training images than the limit.")
        return
    far = far[np.argsort(-scored.ood_scores[far], kind="stable")]
    yield element(
        "p",
        f"{counted(len(far), 'image')} with a score above {scored.ood_limit:.2f}, the farthest "
        "first: something else than the classes, another camera, or a spoiled picture. What is "
        "predicted for them means little.",
    )
    yield tiles(scored, far[:MOST_SHOWN])
    scores = scored.ood_scores
    yield _names(scored, far, "score", lambda i: f"{scores[i]:.2f}")


def _abstained(scored: Scored) -> Iterator[Markup]:
    if scored.abstained is None:
        return
    rows = np.flatnonzero(scored.abstained)
    if not len(rows):
        yield element("p", "The model abstains from no image.")
        return
    rows = rows[np.argsort(scored.sure[rows], kind="stable")]
    yield element(
        "p",
        f"{counted(len(rows), 'image')}, the least sure first: several classes are likely, or none "
        "is likely enough. A person is to look at them.",
    )
    yield tiles(scored, rows[:MOST_SHOWN])
    yield _names(scored, rows, "next", lambda i: _next(scored, i))


def _next(scored: Scored, i: int) -> str:
    """The likeliest class beside the predicted one."""
    p = scored.probabilities[i].copy()
    p[scored.predicted[i]] = -1.0
    c = int(p.argmax())
    return f"{printable(scored.classes[c])} {p[c]:.0%}"


def _names(
    scored: Scored, rows: NDArray[np.int64], column: str, say: Callable[[int], str]
) -> Markup:
    """The images by name, on demand."""
    sure = scored.sure
    cells = [
        [
            printable(scored.ids[i]),
            f"{printable(scored.classes[scored.predicted[i]])} {sure[i]:.0%}",
            say(i),
        ]
        for i in rows[:MOST_NAMED].tolist()
    ]
    words = f"all {len(rows):,} by name"
    if len(rows) > MOST_NAMED:
        words = f"the first {MOST_NAMED:,} of {len(rows):,} by name; the output file has all"
    named = table(("file", "predicted", column), cells)
    return element("details", element("summary", words), named)


def _unreadable(scored: Scored) -> Iterator[Markup]:
    if not scored.failures:
        return
    rows = [[printable(name), printable(why)] for name, why in scored.failures[:MOST_NAMED]]
    yield element(
        "p",
        f"{counted(len(scored.failures), 'file')} could not be read, and nothing is predicted for "
        + ("it." if len(scored.failures) == 1 else "them."),
    )
    words = f"all {len(rows):,}"
    if len(rows) < len(scored.failures):
        words = f"the first {len(rows):,}; the output file has all"
    yield folded(("file", "why"), rows, words, words=range(2))


def _again(scored: Scored) -> Iterator[Markup]:
    for fact in scored.facts:
        yield element("p", fact)
    if scored.command:
        yield element("p", "This makes the page again:")
        yield element("pre", scored.command, tabindex=0)
