"""The page of a folder of new images, from what was found to the pictures of each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from featx.artifact.trust import Trust
from featx.console import counted
from featx.numbers import NOTHING, percent
from featx.reporting.blocks import (
    Bar,
    Block,
    Card,
    Chapter,
    CodeBlock,
    Figures,
    Folded,
    Gallery,
    Group,
    Heading,
    Paragraph,
    Points,
    Strong,
    Table,
)
from featx.reporting.grouped import group_scores_blocks
from featx.reporting.html import page
from featx.reporting.pictures import picture, small_pictures
from featx.reporting.scored.contents import ScoredFolder
from featx.reporting.scored.figures import confidence, drift_figures, moved_most
from featx.reporting.scored.history import history_blocks
from featx.reporting.scored.words import rests_on, sentences
from featx.scoring.drift import LEVEL
from featx.types import IntArray

MOST_SHOWN = 24  # pictures of abstained images and of those far away
MOST_NAMED = 500  # names of them
N_PULLING = 8
SIDE_PX = 88
MOST_A_SIDE = 8  # most and least confident images of a class
MOST_TILES = 1200  # of a contact sheet: about 2 MB
LONGEST = 40  # name below a picture


def write_scored_page(scored: ScoredFolder) -> str:
    """The page as one self-contained HTML document, without any script."""
    some = len(scored.read) > 0
    blocks: list[Block] = [
        Chapter("found", "What was found", [Points(sentences(scored), "verdict")]),
        Chapter("groups", "By group", list(_groups(scored))),
        Chapter("drift", "Drift", list(_drift(scored)) if some else []),
        Chapter("classes", "Predicted classes", list(_classes(scored)) if some else []),
        Chapter("confidence", "Confidence", [Figures([confidence(scored)])] if some else []),
        Chapter("ood", "Out of distribution", list(_far(scored))),
        Chapter("abstained", "Abstained", list(_abstained(scored))),
        Chapter("history", "Earlier scorings", list(history_blocks(scored.history))),
        Chapter("unreadable", "Unreadable files", list(_unreadable(scored))),
        Chapter("sheet", "Contact sheet", list(_contact_sheet(scored))),
        Chapter("again", "Time, versions, and how to make it again", list(_again(scored))),
    ]
    return page(f"Scores of {scored.source}", blocks, broad=True)


def _groups(scored: ScoredFolder) -> Iterator[Block]:
    if scored.scores.groups is not None:
        yield from group_scores_blocks(scored.scores.groups)


def _drift(scored: ScoredFolder) -> Iterator[Block]:
    drift = scored.drift
    if drift is None:
        return
    yield Figures(list(drift_figures(drift)))
    if drift.p_place <= LEVEL:
        k, up = moved_most(drift)
        places = drift.new_places[:, k]
        order = np.argsort(-places if up else places, kind="stable")[:N_PULLING]
        yield Heading("New images farthest that way")
        yield _tiles(scored, drift.rows[order])
    yield Paragraph(rests_on(drift), "note")


def _classes(scored: ScoredFolder) -> Iterator[Block]:
    counts, n, drift, abstained = (
        scored.counts,
        len(scored.read),
        scored.drift,
        scored.scores.abstained,
    )
    rows: list[list[Any]] = []
    for c in np.argsort(-counts, kind="stable").tolist():
        own = scored.y_pred == c
        rows.append(
            [
                scored.classes[c],
                int(counts[c]),
                percent(counts[c] / n),
                "" if drift is None else percent(float(drift.old_shares[c])),
                Bar(counts[c] / counts.max()),
                f"{np.median(scored.sure[own]):.2f}" if own.any() else NOTHING,
                "" if abstained is None else int((abstained & own).sum()),
            ]
        )
    columns = ("class", "images", "share", "share of training images", "", "median probability",
               "abstained")  # fmt: skip
    yield Table(columns, rows).kept()
    if drift is not None:
        yield Paragraph(
            f"Training images: what was predicted for {len(drift.old_places):,} of them by "
            "classifiers that had not seen them.",
            "note",
        )


def _far(scored: ScoredFolder) -> Iterator[Block]:
    far, values = scored.scores.ood, scored.scores.ood_scores
    novelty = (scored.model.trust or Trust()).novelty
    if far is None or values is None or novelty is None:
        return
    rows = np.flatnonzero(far)
    if not len(rows):
        yield Paragraph("No image lies farther from the training images than the limit.")
        return
    rows = rows[np.argsort(-values[rows], kind="stable")]
    yield Paragraph(
        f"{counted(len(rows), 'image')} with a score above {novelty.limit:.2f}, the farthest "
        "first: something else than the classes, another camera, or a spoiled picture. What is "
        "predicted for them means little."
    )
    yield _tiles(scored, rows[:MOST_SHOWN])
    yield _named(scored, rows, "score", [f"{values[i]:.2f}" for i in rows[:MOST_NAMED]])


def _abstained(scored: ScoredFolder) -> Iterator[Block]:
    if scored.scores.abstained is None:
        return
    rows = np.flatnonzero(scored.scores.abstained)
    if not len(rows):
        yield Paragraph("The model abstains from no image.")
        return
    rows = rows[np.argsort(scored.sure[rows], kind="stable")]
    yield Paragraph(
        f"{counted(len(rows), 'image')}, the least sure first: several classes are likely, or none "
        "is likely enough. A person should look at them."
    )
    yield _tiles(scored, rows[:MOST_SHOWN])
    yield _named(scored, rows, "next", [_next(scored, i) for i in rows[:MOST_NAMED].tolist()])


def _next(scored: ScoredFolder, i: int) -> str:
    """The likeliest class beside the predicted one."""
    p = scored.scores.probabilities[i].copy()
    p[scored.y_pred[i]] = -1.0
    c = int(p.argmax())
    return f"{scored.classes[c]} {percent(p[c], 0)}"


def _named(scored: ScoredFolder, rows: IntArray, column: str, values: Sequence[str]) -> Folded:
    """The images by name, on demand."""
    cells = [
        [
            scored.scores.ids[i],
            f"{scored.classes[scored.y_pred[i]]} {percent(scored.sure[i], 0)}",
            value,
        ]
        for i, value in zip(rows[:MOST_NAMED].tolist(), values, strict=True)
    ]
    words = f"all {len(rows):,} by name"
    if len(rows) > MOST_NAMED:
        words = f"the first {MOST_NAMED:,} of {len(rows):,} by name; the output file has all"
    return Folded(words, [Table(("file", "predicted", column), cells)])


def _unreadable(scored: ScoredFolder) -> Iterator[Block]:
    failures = scored.scores.failures
    if not failures:
        return
    rows = [[failure.id, failure.reason] for failure in failures[:MOST_NAMED]]
    yield Paragraph(
        f"{counted(len(failures), 'file')} could not be read, and nothing is predicted for "
        + ("it." if len(failures) == 1 else "them.")
    )
    yield Table(("file", "why"), rows, range(2))
    if len(rows) < len(failures):
        yield Paragraph(f"The first {len(rows):,}; the output file has all.", "note")


def _tiles(scored: ScoredFolder, rows: IntArray, *, named: bool = True) -> Gallery:
    """One tile an image: its picture, what is predicted and how surely, and its name.

    Where all have the same predicted class, ``named`` is False and it is not repeated.
    """
    pictures = small_pictures([scored.paths[i] for i in rows], SIDE_PX)
    cards = []
    for i, image in zip(rows.tolist(), pictures, strict=True):
        label, name = scored.classes[scored.y_pred[i]], scored.scores.ids[i]
        sure = percent(scored.sure[i], 0)
        caption = f"{label} {sure}" if named else sure
        short = name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
        shown = picture(image, f"predicted {label}: {name}")
        cards.append(Card([shown], [Strong(caption)], [short]))
    return Gallery(cards)


def _contact_sheet(scored: ScoredFolder) -> Iterator[Block]:
    """The most and the least confident images of each class, the largest class first."""
    counts = scored.counts
    order = [c for c in np.argsort(-counts, kind="stable").tolist() if counts[c]]
    a_side = max(1, min(MOST_A_SIDE, MOST_TILES // (2 * max(len(order), 1))))
    shown = order[: MOST_TILES // (2 * a_side)]
    if len(shown) < len(order):
        yield Paragraph(f"Of the {len(shown):,} classes found most often, of {len(order):,}.")
    for c in shown:
        rows = np.flatnonzero(scored.y_pred == c)
        rows = rows[np.argsort(-scored.sure[rows], kind="stable")]
        sides = {"All, the most confident first": rows}
        if len(rows) > 2 * a_side:  # both ends of a large class
            sides = {"Most confident": rows[:a_side], "Least confident": rows[: -a_side - 1 : -1]}
        blocks: list[Block] = [Heading(f"{scored.classes[c]}: {counted(len(rows), 'image')}")]
        for words, side in sides.items():
            blocks += [Paragraph(words, "note"), _tiles(scored, side, named=False)]
        yield Group(blocks, "sheet")


def _again(scored: ScoredFolder) -> Iterator[Block]:
    yield from map(Paragraph, scored.facts)
    if scored.command:
        yield Paragraph("This makes the page again:")
        yield CodeBlock(scored.command)
