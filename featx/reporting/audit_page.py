"""An audit as one page to look at: pictures beside each other, names escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from featx import console
from featx.auditing import Audit
from featx.auditing.audit import Copies
from featx.auditing.shortcuts import FAMILIES
from featx.numbers import interval, number
from featx.reporting.blocks import (
    About,
    Block,
    Card,
    Chapter,
    Decisions,
    Folded,
    Gallery,
    Group,
    Paragraph,
    Points,
    Strong,
    Table,
)
from featx.reporting.grouping_page import groups_found
from featx.reporting.html import page
from featx.reporting.pictures import picture, small_pictures
from featx.reporting.summaries.audit import audit_verdict

THUMBNAIL_PX = 128
MOST_IN_A_SET = 8
MOST_CLASSES = 40


@console.stage("Drawing the page of the audit")
def audit_page(
    found: Audit, results: Mapping[str, Any], paths: Mapping[str, str], *, shown: int
) -> str:
    """HTML without anything outside it.

    Parameters
    ----------
    found : Audit
    results : mapping
        From `featx.auditing.document.audit_document`.
    paths : mapping of str to str
        Id -> where the image is.
    shown : int
        Findings of each kind with pictures; the tables beside the page have them all.
    """
    confused = Table(("true class", "predicted", "images"), found.confused(), {0, 1})
    blocks: list[Block] = [
        Points(audit_verdict(results), "verdict"),
        Folded("Everything that was found, in sentences", [Points(results["summary"])]),
        *_deciding(found, results),
        Chapter("copies", f"Copies: {len(found.copies):,}", list(_copies(found, paths, shown))),
        Chapter("series", f"Same series, not copies: {len(found.series):,}",
                list(_series(found, paths, shown))),
        Chapter("groups", "Groups found", list(_groups(found, paths))),
        Chapter("labels", f"Doubted labels: {len(found.suspects):,}",
                list(_labels(found, paths, shown))),
        Chapter("shortcuts", "Can the class be predicted without the picture?",
                list(_shortcuts(found))),
        Chapter("outliers", f"Outliers: {len(found.strange):,}",
                list(_outliers(found, paths, shown))),
        Chapter("classes", "Classes", list(_classes(found))),
        Chapter("confused", "Most confused", [confused] if confused.rows else []),
        Paragraph(
            f"{results['images']:,} images, {len(results['quarantined']):,} quarantined; "
            f"embeddings of {results['backbone']}.",
            "note",
        ),
    ]  # fmt: skip
    return page(f"Audit of {results['source']}", blocks)


def _deciding(found: Audit, results: Mapping[str, Any]) -> Iterator[Block]:
    if not (found.copies or found.series or found.suspects or found.strange):
        return
    yield Paragraph(
        "Look at the images below, and decide where you are sure: the label is right, or another; "
        "leave the image out, or keep it together with another. The decisions are downloaded as "
        "corrections.csv, which featx fit DATASET --labels corrections.csv applies."
    )
    key = f"{results['source']} {results['images']} {results['backbone']}"
    yield Decisions(f"audit {key}", found.data.classes)


def _gallery(
    found: Audit,
    paths: Mapping[str, str],
    rows: Sequence[int],
    lines: Sequence[str],
    *,
    guesses: Sequence[str] = (),
    near: str = "",
    ask: bool = True,
) -> Gallery:
    """Each image in small with its label, a line, its name, and, if asked, what may be decided.

    Another label, of ``guesses``, or that it belongs with the image ``near``.
    """
    data = found.data
    images = small_pictures([paths[data.ids[i]] for i in rows], THUMBNAIL_PX)
    cards = []
    guessed = guesses or [""] * len(rows)
    for i, image, line, guess in zip(rows, images, lines, guessed, strict=True):
        below = [text for text in (line, data.ids[i]) if text]
        caption = [Strong(data.labels[i] or "no label")]
        sha256 = data.hashes[i].tobytes().hex()
        about = About(data.ids[i], sha256, data.labels[i] or "", guess, near) if ask else None
        cards.append(Card([picture(image, data.ids[i])], caption, below, about=about))
    return Gallery(cards, "figures")


def _more(total: int, shown: int, name: str) -> Iterator[Block]:
    if total > shown:
        yield Paragraph(f"{shown:,} of {total:,} are shown; {name}.csv has them all.", "note")


def _copies(found: Audit, paths: Mapping[str, str], shown: int) -> Iterator[Block]:
    if not found.copies:
        return
    yield Paragraph(
        "exclude.csv keeps one image of each set, that of the test split first. Of exact copies "
        "with different labels none is kept; near copies with different labels are not in it: look "
        "at them. groups.csv keeps sets together in every split instead."
    )
    yield Group(list(_sets(found, paths, found.copies[:shown], _what)), "sets")
    yield from _more(len(found.copies), shown, "copies")


def _series(found: Audit, paths: Mapping[str, str], shown: int) -> Iterator[Block]:
    if not found.series:
        return
    yield Paragraph(
        "Slices, frames or shots whose names differ in one number, by a step or two, and which "
        "look alike. They are different pictures, so none is left out; groups.csv keeps each set "
        "in one split."
    )
    yield Group(list(_sets(found, paths, found.series[:shown], _alike)), "sets")
    yield from _more(len(found.series), shown, "series")


def _sets(
    found: Audit,
    paths: Mapping[str, str],
    chosen: Sequence[Copies],
    said: Callable[[Copies], str],
) -> Iterator[Block]:
    for copies in chosen:
        rows = copies.found.rows
        more = f" ({len(rows) - MOST_IN_A_SET} more)" if len(rows) > MOST_IN_A_SET else ""
        rows = rows[:MOST_IN_A_SET]
        splits = [found.data.splits[i] or "" for i in rows]
        pictures = _gallery(found, paths, rows, splits, near=found.data.ids[copies.found.rows[0]])
        yield Group([Paragraph(said(copies) + more), pictures], "set")


def _groups(found: Audit, paths: Mapping[str, str]) -> Iterator[Block]:
    if found.together is not None:
        yield from groups_found(
            found.together, lambda rows: _gallery(found, paths, rows, [""] * len(rows), ask=False)
        )


def _what(copies: Copies) -> str:
    return "Exact copies" + _across(copies) if copies.found.exact else _alike(copies)


def _alike(copies: Copies) -> str:
    return f"Alike, correlation of edges {copies.found.similarity:.2f}{_across(copies)}"


def _across(copies: Copies) -> str:
    across = ["across splits"] if copies.across_splits else []
    across += ["different labels"] if copies.across_classes else []
    return "".join(f", {where}" for where in across)


def _labels(found: Audit, paths: Mapping[str, str], shown: int) -> Iterator[Block]:
    if found.issues is None or not found.suspects:
        return
    yield Paragraph(
        "The most doubtful first: a classifier trained without the image gives its label less than "
        "a tenth of what guessing would. Look before you change one: odd images with right labels "
        "are here too."
    )
    issues, names, suspects = found.issues, found.data.classes, found.suspects[:shown]
    believed = [int(issues.believed[k]) for k in suspects]
    lines = [
        f"more like {names[c]} ({issues.proba[k, c]:.2f})"
        for k, c in zip(suspects, believed, strict=True)
    ]
    rows = [int(found.rows[k]) for k in suspects]
    yield _gallery(found, paths, rows, lines, guesses=[names[c] for c in believed])
    yield from _more(len(found.suspects), shown, "labels")


def _outliers(found: Audit, paths: Mapping[str, str], shown: int) -> Iterator[Block]:
    if not found.strange:
        return
    yield Paragraph(
        "Images whose surroundings are much emptier than those of the images nearest to them, the "
        "strangest first. A spoiled picture, something foreign, or just a rare one."
    )
    rows = found.strange[:shown]
    yield _gallery(found, paths, rows, [f"score {found.outliers[i]:.1f}" for i in rows])
    yield from _more(len(found.strange), shown, "outliers")


def _shortcuts(found: Audit) -> Iterator[Block]:
    if not found.shortcuts:
        return
    rows = []
    for s in found.shortcuts:
        away = [f"{c} ({s.strongest[c]})" for c in s.given_away]
        serious = ", ".join(s.beyond) or "none"
        cells = (interval(s.balanced_accuracy, 2), ", ".join(away) or "none", serious)
        rows.append((FAMILIES[s.family], *cells))
    columns = ("from", "balanced accuracy [95 % interval]", "classes identified", "serious")
    yield Table(columns, rows, {0, 2, 3})
    yield Paragraph(
        f"Chance is {found.shortcuts[0].chance:.2f}. Trees on these measurements alone, "
        "cross-validated. Serious: no content can explain it, or it predicts the class better than "
        "the embedding of the picture does.",
        "note",
    )


def _classes(found: Audit) -> Iterator[Block]:
    if found.separability is None:
        return
    measures = ("recall", "precision", "roc_auc")
    per_class = found.separability["per_class"].items()
    rows = [
        (label, row["support"], *(number(row[k]["value"], 2) for k in measures))
        for label, row in per_class
    ]
    rows.sort(key=lambda row: row[2])
    columns = ("class", "images", "recall", "precision", "ROC-AUC")
    yield Table(columns, rows[:MOST_CLASSES])
    if len(rows) > MOST_CLASSES:
        text = f"The {MOST_CLASSES} hardest of {len(rows)}; audit.json has them all."
        yield Paragraph(text, "note")
