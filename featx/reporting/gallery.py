"""Images that the model judged worst or least surely, with the training images nearest to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featx.files import printable
from featx.pages import Markup, breakable, element
from featx.reporting.contents import Subject, standardised
from featx.reporting.heat import heat_words, overlay
from featx.reporting.pictures import shown_picture, small_pictures
from featx.reporting.tables import Table

__all__ = [
    "Case",
    "cases",
    "cases_table",
    "draw_cards",
    "least_certain",
    "other",
    "worst_mistakes",
]

N_CASES = 12
N_NEAREST = 3
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
    sure = subject.probabilities[np.arange(len(subject.y)), subject.predicted]
    wrong = (subject.y != subject.predicted) & (subject.repeat == 0)
    order = np.argsort(-sure, kind="stable")
    return order[wrong[order]][:N_CASES]


def least_certain(subject: Subject) -> NDArray[np.int64]:
    """Rows whose two likeliest classes are nearest to each other, the nearest first."""
    top = np.sort(subject.probabilities, axis=1)[:, -2:]
    order = np.argsort(top[:, 1] - top[:, 0], kind="stable")
    return order[(subject.repeat == 0)[order]][:N_CASES]


def cases(subject: Subject, rows: Sequence[int] | NDArray[np.int64]) -> list[Case]:
    """Each row with its nearest training images."""
    embedded = subject.embedded
    if embedded is None or not len(embedded.ids):
        return [Case(int(row), None, []) for row in rows]
    place = {name: i for i, name in enumerate(embedded.ids)}
    fold = np.full(len(embedded.ids), -1)
    for name, f, repeat in zip(subject.ids, subject.fold, subject.repeat, strict=True):
        if repeat == 0 and name in place:
            fold[place[name]] = f
    trained = ~embedded.tested
    X = embedded.X
    unit = standardised(X, X[trained])
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    found = []
    for row in map(int, rows):
        i = place.get(subject.ids[row])
        nearest: list[tuple[int, float]] = []
        if i is not None:
            # Of cross-validation only the other folds trained the model that judged this image.
            allowed = trained & (fold != subject.fold[row] if subject.fold[row] >= 0 else True)
            allowed[i] = False
            cosine = np.where(allowed, unit @ unit[i], -2.0)
            best = np.argsort(-cosine, kind="stable")[:N_NEAREST]
            nearest = [(int(k), float(cosine[k])) for k in best if allowed[k]]
        found.append(Case(row, i, nearest))
    return found


def other(p: NDArray[np.float64], true: int, said: int) -> int:
    """The class that what was said is held against: the true one or, where that is it, the next."""
    if true != said:
        return true
    order = np.argsort(-p, kind="stable")
    return int(order[order != said][0])


def cases_table(subject: Subject, shown: Sequence[Case]) -> Table:
    """The cases as a table."""
    rows = []
    for case in shown:
        said, true = subject.predicted[case.row], subject.y[case.row]
        p = subject.probabilities[case.row]
        names = [] if subject.embedded is None else subject.embedded.ids
        rows.append(
            [
                subject.ids[case.row],
                subject.classes[true],
                subject.classes[said],
                float(p[said]),
                float(p[true]),
                "; ".join(names[i] for i, _ in case.nearest),
            ]
        )
    return Table(("id", "true", "said", "p_said", "p_true", "nearest_training_images"), rows)


def draw_cards(subject: Subject, shown: Sequence[Case]) -> Markup:
    """One card a case: the picture, what it is and was said to be, and its nearest."""
    embedded = subject.embedded
    large: dict[int, Image.Image | None] = {}
    small: dict[int, Image.Image | None] = {}
    if embedded is not None:
        own = sorted({c.image for c in shown if c.image is not None})
        near = sorted({i for c in shown for i, _ in c.nearest})
        paths = embedded.paths
        large = dict(zip(own, small_pictures([paths[i] for i in own], LARGE_PX), strict=True))
        small = dict(zip(near, small_pictures([paths[i] for i in near], SMALL_PX), strict=True))
    cards = [_card(subject, case, large, small) for case in shown]
    return element("div", *cards, class_="cards")


def _card(
    subject: Subject,
    case: Case,
    large: dict[int, Image.Image | None],
    small: dict[int, Image.Image | None],
) -> Markup:
    p = subject.probabilities[case.row]
    true, said = int(subject.y[case.row]), int(subject.predicted[case.row])
    names = [printable(c) for c in subject.classes]
    name = printable(subject.ids[case.row])
    parts = []
    if case.image is not None:
        picture = large.get(case.image)
        shown = [shown_picture(picture, LARGE_PX, f"{names[true]}: {name}", "large")]
        heat = subject.heats.of.get(case.row)
        if heat is not None and picture is not None:
            words = heat_words(heat, subject.heats.kind, names[said], names[other(p, true, said)])
            shown.append(shown_picture(overlay(picture, heat), LARGE_PX, words, "large"))
        parts.append(element("div", *shown, class_="pair"))
    if true == said:
        second = other(p, true, said)
        verdict = element("strong", breakable(names[said]))
        lines = [verdict, f" {p[said]:.0%}, right; next ", breakable(names[second]),
                 f" {p[second]:.0%}"]  # fmt: skip
    else:
        verdict = element("strong", breakable(names[said]))
        truth = element("strong", breakable(names[true]))
        lines = ["said ", verdict, f" {p[said]:.0%}; is ", truth, f" {p[true]:.0%}"]
    parts.append(element("figcaption", *lines, element("span", breakable(name), class_="file")))
    if case.nearest:
        parts.append(_nearest(subject, case, small, names))
    return element("figure", *parts, class_="card")


def _nearest(
    subject: Subject, case: Case, small: dict[int, Image.Image | None], names: Sequence[str]
) -> Markup:
    embedded = subject.embedded
    assert embedded is not None
    items = []
    for i, cosine in case.nearest:
        label = names[int(embedded.y[i])] if embedded.y[i] >= 0 else "another class"
        words = f"training image of {label}: {printable(embedded.ids[i])}"
        picture = shown_picture(small.get(i), SMALL_PX, words, "small")
        items.append(element("li", picture, element("span", breakable(label)), f" {cosine:.2f}"))
    return element("ul", *items, class_="nearest", aria_label="nearest training images")


def draw_samples(subject: Subject, per_class: int, most: int) -> Iterator[Markup]:
    """Some training images of each class, or of the ``most`` largest classes."""
    embedded = subject.embedded
    if embedded is None:
        return
    counts = np.bincount(embedded.y[embedded.y >= 0], minlength=len(subject.classes))
    order = np.argsort(-counts, kind="stable")[:most]
    chosen = {
        int(c): _spread(np.flatnonzero(embedded.y == c), per_class) for c in order if counts[c]
    }
    flat = [i for rows in chosen.values() for i in rows]
    pictures = dict(zip(flat, small_pictures([embedded.paths[i] for i in flat], SMALL_PX),
                        strict=True))  # fmt: skip
    rows = []
    for c, images in chosen.items():
        name = printable(subject.classes[c])
        shown = [
            shown_picture(pictures[i], SMALL_PX, f"{name}: {printable(embedded.ids[i])}", "small")
            for i in images
        ]
        rows.append(element("div", element("h4", name), element("div", *shown, class_="strip")))
    yield element("div", *rows, class_="samples")


def _spread(rows: NDArray[np.int64], n: int) -> list[int]:
    """At most ``n`` of the rows, evenly through the data set."""
    return rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).round().astype(int)].tolist()
