"""Every evaluated image for a page's browser: all mistakes, and pictures of as many as fit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from featx.console import counted
from featx.reporting.blocks import Block, Browser, Decisions, Paragraph
from featx.reporting.contents import Subject
from featx.reporting.pictures import addresses

MOST_ROWS = 20_000
MOST_MISTAKES = 3_000  # with pictures,
MOST_RIGHT = 200  # and right predictions, one half the least confident, one half spread evenly
MOST_BYTES = 8 << 20  # of all pictures together
PICTURE_PX = 128
COLUMNS = ("id", "y", "y_pred", "p", "p_true", "fold", "group", "sha256", "src")


def decisions_of(subject: Subject) -> Decisions:
    """Where decisions about the run's images are kept."""
    data = subject.results["dataset"]
    return Decisions(f"{subject.name} {data.get('sha256') or data['source']}", subject.classes)


def browser_blocks(subject: Subject) -> Iterator[Block]:
    """The browser, and what is left out of it.

    Of several partitions the first is shown: one row a file.
    """
    rows = _ranked(subject)
    shown = rows[:MOST_ROWS]
    pictured = _pictured(subject, shown)
    sources = _sources(subject, pictured)
    yield Paragraph(
        "Filter by class, confidence, fold, group or name; click a picture to enlarge it, and a "
        "cell of a confusion matrix for its images. Decide about an image where you are sure: the "
        "decisions are downloaded as corrections.csv, which featx fit DATASET --labels "
        "corrections.csv applies."
    )
    yield decisions_of(subject)
    yield Browser(subject.classes, COLUMNS, [_row(subject, i, sources) for i in shown.tolist()])
    left = _left_out(subject, rows, shown, sources)
    if left:
        yield Paragraph(left, "note")


def _ranked(subject: Subject) -> NDArray[np.int64]:
    """Mistakes, the most confident first; then right predictions, the least confident first."""
    sure = subject.proba[np.arange(len(subject.y)), subject.y_pred]
    wrong = subject.y != subject.y_pred
    order = np.lexsort((np.where(wrong, -sure, sure), ~wrong))
    return order[subject.repeat[order] == 0]


def _pictured(subject: Subject, rows: NDArray[np.int64]) -> list[int]:
    """Which of the rows have pictures, by importance: mistakes, then some of what is right."""
    wrong = rows[subject.y[rows] != subject.y_pred[rows]]
    right = rows[len(wrong) :]
    spread = right[np.linspace(0, len(right) - 1, min(len(right), MOST_RIGHT // 2)).astype(int)]
    chosen = [*wrong[:MOST_MISTAKES], *right[: MOST_RIGHT // 2], *spread]
    return list(dict.fromkeys(int(i) for i in chosen))


def _sources(subject: Subject, rows: list[int]) -> dict[int, str]:
    """Row -> address of its picture, as many as fit; empty where it cannot be read."""
    if subject.embedded is None:
        return {}
    place = dict(zip(subject.embedded.ids, subject.embedded.paths, strict=True))
    there = [i for i in rows if subject.ids[i] in place]
    found = dict.fromkeys(rows, "")  # those that are gone are named in place of their picture
    used = 0
    for i, address in zip(
        there, addresses([place[subject.ids[i]] for i in there], PICTURE_PX), strict=True
    ):
        used += len(address)
        if used <= MOST_BYTES:
            found[i] = address
        else:
            del found[i]
    return found


def _row(subject: Subject, i: int, sources: dict[int, str]) -> list[object]:
    y, y_pred, fold = int(subject.y[i]), int(subject.y_pred[i]), int(subject.fold[i])
    p = subject.proba[i]
    name = subject.ids[i]
    group, sha256 = subject.known.get(name, (None, ""))
    return [
        *(name, y, y_pred, round(float(p[y_pred]), 4), round(float(p[y]), 4)),
        *(fold if fold >= 0 else None, group, sha256, sources.get(i)),
    ]


def _left_out(
    subject: Subject, rows: NDArray[np.int64], shown: NDArray[np.int64], sources: dict[int, str]
) -> str:
    """What the page leaves out so that it stays small; empty where it has everything."""
    wrong = subject.y[rows] != subject.y_pred[rows]
    n_wrong, n_right = int(wrong.sum()), int((~wrong).sum())
    seen = sum(int(i) in sources for i in rows[wrong])
    right = len(sources) - seen
    parts = []
    if subject.embedded is not None and (seen, right) != (n_wrong, n_right):
        parts.append(
            f"To stay small, the page has pictures of {seen:,} of "
            f"{counted(n_wrong, 'mistake')} and of {right:,} of "
            f"{counted(n_right, 'right prediction')}."
        )
    if len(shown) < len(rows):
        parts.append(
            f"{counted(len(rows) - len(shown), 'right prediction')} more are in predictions.csv."
        )
    return " ".join(parts)
