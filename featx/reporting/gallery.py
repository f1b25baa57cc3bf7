"""Images that the model judged worst or least surely, with the training images nearest to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featx.numbers import percent
from featx.reporting.blocks import About, Block, Card, Gallery, Group, Heading, Strong, Table
from featx.reporting.contents import Subject
from featx.reporting.heat import heat_words, overlay
from featx.reporting.nearest import Nearest
from featx.reporting.pictures import by_path, picture

N_CASES = 12
LARGE_PX, SMALL_PX = 176, 80


@dataclass(frozen=True)
class Case:
    """One judged image.

    Parameters
    ----------
    row : int
        Of the subject's predictions.
    image : int or None
        Of its embedded images; None where it is not there.
    nearest : list of (int, float)
        Embedded images that trained the model that judged this one, the nearest first, and the
        cosine of the angle between the standardised embeddings.
    """

    row: int
    image: int | None
    nearest: list[tuple[int, float]]


def worst_mistakes(subject: Subject) -> NDArray[np.int64]:
    """Rows that are wrong, the surest first; one a file."""
    sure = subject.proba[np.arange(len(subject.y)), subject.y_pred]
    wrong = (subject.y != subject.y_pred) & (subject.repeat == 0)
    order = np.argsort(-sure, kind="stable")
    return order[wrong[order]][:N_CASES]


def least_certain(subject: Subject) -> NDArray[np.int64]:
    """Rows whose two likeliest classes are nearest to each other, the nearest first."""
    top = np.sort(subject.proba, axis=1)[:, -2:]
    order = np.argsort(top[:, 1] - top[:, 0], kind="stable")
    return order[(subject.repeat == 0)[order]][:N_CASES]


def cases(subject: Subject, rows: Sequence[int] | NDArray[np.int64]) -> list[Case]:
    """Each row with its nearest training images."""
    embedded = subject.embedded
    if embedded is None or not len(embedded.ids):
        return [Case(int(row), None, []) for row in rows]
    nearest = Nearest(subject, embedded)
    return [Case(row, nearest.image(row), nearest.of_row(row)) for row in map(int, rows)]


def other(p: NDArray[np.float64], y: int, y_pred: int) -> int:
    """The class that the predicted one is compared with.

    The true one or, where the prediction is right, the next likeliest.
    """
    if y != y_pred:
        return y
    order = np.argsort(-p, kind="stable")
    return int(order[order != y_pred][0])


def cases_table(subject: Subject, shown: Sequence[Case]) -> Table:
    """The cases as a table."""
    names = [] if subject.embedded is None else subject.embedded.ids
    rows = []
    for case in shown:
        y, y_pred, p = (part[case.row] for part in (subject.y, subject.y_pred, subject.proba))
        labels = [subject.classes[y], subject.classes[y_pred], float(p[y_pred]), float(p[y])]
        near = "; ".join(names[i] for i, _ in case.nearest)
        rows.append([subject.ids[case.row], *labels, near])
    return Table(
        ("id", "true", "predicted", "p_predicted", "p_true", "nearest_training_images"), rows
    )


def case_cards(subject: Subject, rows: Sequence[int] | NDArray[np.int64]) -> Gallery:
    """One card a judged image: its picture, what it is and was predicted to be, and its nearest."""
    shown, embedded = cases(subject, rows), subject.embedded
    large: dict[str, Image.Image | None] = {}
    small: dict[str, Image.Image | None] = {}
    if embedded is not None:
        paths = embedded.paths
        large = by_path((paths[c.image] for c in shown if c.image is not None), LARGE_PX)
        small = by_path((paths[i] for c in shown for i, _ in c.nearest), SMALL_PX)
    return Gallery([_card(subject, case, large, small) for case in shown], "cards")


def _card(
    subject: Subject,
    case: Case,
    large: Mapping[str, Image.Image | None],
    small: Mapping[str, Image.Image | None],
) -> Card:
    p, embedded, names = subject.proba[case.row], subject.embedded, subject.classes
    y, y_pred, name = int(subject.y[case.row]), int(subject.y_pred[case.row]), subject.ids[case.row]
    against = other(p, y, y_pred)
    pictures = []
    if case.image is not None and embedded is not None:
        image, heat = large.get(embedded.paths[case.image]), subject.heats.of.get(case.row)
        pictures.append(picture(image, f"{names[y]}: {name}"))
        if heat is not None and image is not None:
            words = heat_words(heat, subject.heats.kind, names[y_pred], names[against])
            pictures.append(picture(overlay(image, heat), words))
    relation = "labelled" if y != y_pred else "which is right; next"
    caption = ["predicted ", Strong(names[y_pred]), f" ({percent(p[y_pred], 0)}), {relation} ",
               Strong(names[against]), f" ({percent(p[against], 0)})"]  # fmt: skip
    nearest = []
    for i, cosine in case.nearest:
        assert embedded is not None
        label = names[int(embedded.y[i])] if embedded.y[i] >= 0 else "another class"
        words = f"training image of {label}: {embedded.ids[i]}"
        nearest.append(
            Card([picture(small[embedded.paths[i]], words)], lines=[f"{label} {cosine:.2f}"])
        )
    _, sha256 = subject.known.get(name, (None, ""))
    guess = names[y_pred] if y != y_pred else ""
    near = embedded.ids[case.nearest[0][0]] if embedded is not None and case.nearest else ""
    about = About(name, sha256, names[y], guess, near)
    return Card(pictures, caption, [name], nearest, about)


def sample_group(subject: Subject, per_class: int, most: int) -> Group:
    """Some training images of each class, or of the ``most`` largest classes."""
    embedded = subject.embedded
    assert embedded is not None
    counts = np.bincount(embedded.y[embedded.y >= 0], minlength=len(subject.classes))
    order = np.argsort(-counts, kind="stable")[:most]
    chosen = {
        int(c): _spread(np.flatnonzero(embedded.y == c), per_class) for c in order if counts[c]
    }
    small = by_path((embedded.paths[i] for rows in chosen.values() for i in rows), SMALL_PX)
    blocks: list[Block] = []
    for c, images in chosen.items():
        name = subject.classes[c]
        cards = [
            Card([picture(small[embedded.paths[i]], f"{name}: {embedded.ids[i]}")]) for i in images
        ]
        blocks.append(Group([Heading(name, 4), Gallery(cards, "strip")], "sample"))
    return Group(blocks, "samples")


def _spread(rows: NDArray[np.int64], n: int) -> list[int]:
    """At most ``n`` of the rows, evenly through the data set."""
    return rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).round().astype(int)].tolist()
