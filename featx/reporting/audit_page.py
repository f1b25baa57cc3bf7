"""An audit as one page to look at: pictures beside each other, names escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from featx.auditing import Audit
from featx.auditing.audit import Copies
from featx.auditing.shortcuts import FAMILIES
from featx.data.decode import decode_image
from featx.data.hashing import read_bytes
from featx.errors import DecodeError
from featx.files import printable
from featx.pages import Markup, breakable, element, page, table, thumbnail

__all__ = ["audit_page"]

THUMBNAIL_PX = 128
MOST_IN_A_SET = 8
MOST_CLASSES = 40

STYLE = """
.cards { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
.sets { display: grid; gap: .8rem; grid-template-columns:
  repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); }
.set { border: 1px solid var(--line); border-radius: 4px; padding: .6rem .8rem; }
.set p { margin: 0 0 .4rem; font-size: .875rem; }
.row { display: flex; flex-wrap: wrap; gap: .8rem; }
.row figure { width: 9rem; }
figure { margin: 0; font-size: .75rem; line-height: 1.3; overflow-wrap: anywhere; }
figure img { display: block; width: 100%; height: 8rem; object-fit: contain;
  background: var(--panel); border-radius: 4px; margin-bottom: .25rem; }
figure b { display: block; font-size: .8125rem; }
figure span { color: var(--soft); }
@media print { .set, figure { break-inside: avoid; } }
"""


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
    pictures = _Pictures(found, paths)
    first, *rest = results["summary"]
    return page(
        f"Audit of {results['source']}",
        element("p", first, class_="verdict"),
        element("ul", *(element("li", sentence) for sentence in rest)),
        *_copies(found, pictures, shown),
        *_labels(found, pictures, shown),
        *_shortcuts(found),
        *_outliers(found, pictures, shown),
        *_classes(found),
        element(
            "p",
            f"{results['images']:,} images, {len(results['quarantined']):,} quarantined; "
            f"embeddings of {results['backbone']}.",
            class_="note",
        ),
        style=STYLE,
    )


class _Pictures:
    """Figures of images by row."""

    def __init__(self, found: Audit, paths: Mapping[str, str]) -> None:
        self.data, self.paths = found.data, paths

    def figure(self, row: int, *said: str, title: str | None = None) -> Markup:
        """The image in small, its label (or ``title``), its split and its name."""
        name = printable(self.data.ids[row])
        label = printable(self.data.labels[row] or "no label") if title is None else title
        lines = [line for line in (*said, name) if line]
        parts = [element("span", breakable(line)) for line in lines]
        broken = [Markup("<br/>") if i % 2 else parts[i // 2] for i in range(2 * len(parts) - 1)]
        return element("figure", self._image(row, name), element("b", breakable(label)), *broken)

    def _image(self, row: int, name: str) -> Markup:
        try:
            image = decode_image(read_bytes(self.paths[self.data.ids[row]]))
        except DecodeError:  # it went away meanwhile
            return element("span", "cannot be read any more")
        return element("img", src=thumbnail(image, THUMBNAIL_PX), alt=name, loading="lazy")


def _more(total: int, shown: int, name: str) -> list[Markup]:
    if total <= shown:
        return []
    text = f"{shown:,} of {total:,} are shown; {name}.csv has them all."
    return [element("p", text, class_="note")]


def _copies(found: Audit, pictures: _Pictures, shown: int) -> Iterable[Markup]:
    if not found.copies:
        return
    yield element("h2", f"Copies: {len(found.copies):,}")
    yield element(
        "p",
        "exclude.csv keeps one image of each set, that of the test split first. Of exact copies "
        "with different labels none stays; near copies with different labels are not in it: look "
        "at them. groups.csv keeps sets together in every split instead.",
    )
    sets = []
    for copies in found.copies[:shown]:
        rows = copies.found.rows
        figures = [pictures.figure(i, found.data.splits[i] or "") for i in rows[:MOST_IN_A_SET]]
        more = f" ({len(rows) - MOST_IN_A_SET} more)" if len(rows) > MOST_IN_A_SET else ""
        inside = (element("p", _what(copies) + more), element("div", *figures, class_="row"))
        sets.append(element("div", *inside, class_="set"))
    yield element("div", *sets, class_="sets")
    yield from _more(len(found.copies), shown, "copies")


def _what(copies: Copies) -> str:
    kind = "Exact copies" if copies.found.exact else f"Alike, {copies.found.similarity:.3f}"
    crossed = [
        text
        for text, crosses in (
            ("across splits", copies.across_splits),
            ("different labels", copies.across_classes),
        )
        if crosses
    ]
    return ", ".join([kind, *crossed])


def _labels(found: Audit, pictures: _Pictures, shown: int) -> Iterable[Markup]:
    if found.issues is None or not found.suspects:
        return
    yield element("h2", f"Doubted labels: {len(found.suspects):,}")
    yield element(
        "p",
        "The most doubtful first: a classifier trained without the image gives its label less than "
        "a tenth of what guessing would. Look before you change one: odd images with right labels "
        "are here too.",
    )
    issues, names = found.issues, found.data.classes
    figures = []
    for k in found.suspects[:shown]:
        believed = issues.believed[k]
        probability = issues.proba[k, believed]
        said = f"more like {printable(names[believed])} ({probability:.2f})"
        figures.append(pictures.figure(int(found.rows[k]), said))
    yield element("div", *figures, class_="cards")
    yield from _more(len(found.suspects), shown, "labels")


def _outliers(found: Audit, pictures: _Pictures, shown: int) -> Iterable[Markup]:
    if not found.strange:
        return
    yield element("h2", f"Outliers: {len(found.strange):,}")
    yield element(
        "p",
        "Images whose surroundings are much emptier than those of the images nearest to them, the "
        "strangest first. A spoiled picture, something foreign, or just a rare one.",
    )
    figures = [pictures.figure(i, f"score {found.outliers[i]:.1f}") for i in found.strange[:shown]]
    yield element("div", *figures, class_="cards")
    yield from _more(len(found.strange), shown, "outliers")


def _shortcuts(found: Audit) -> Iterable[Markup]:
    if not found.shortcuts:
        return
    yield element("h2", "Can the class be told without the picture?")
    rows = []
    for s in found.shortcuts:
        accuracy = s.balanced_accuracy
        away = ", ".join(f"{printable(c)} ({printable(s.strongest[c])})" for c in s.given_away)
        bounds = (
            "" if accuracy["low"] is None else f"{accuracy['low']:.2f} to {accuracy['high']:.2f}"
        )
        rows.append((FAMILIES[s.family], f"{accuracy['value']:.2f}", bounds, away or "none"))
    yield table(("from", "balanced accuracy", "95 % interval", "classes given away"), rows, {0, 3})
    yield element(
        "p",
        f"Chance is {found.shortcuts[0].chance:.2f}. Trees on these measurements alone, "
        "cross-validated. Colours may belong to the subject; the others rarely should.",
        class_="note",
    )


def _classes(found: Audit) -> Iterable[Markup]:
    if found.separability is None:
        return
    yield element("h2", "Classes")
    measures = ("recall", "precision", "roc_auc")
    per_class = found.separability["per_class"].items()
    rows = [
        (printable(label), f"{row['support']:,}", *(_number(row[k]) for k in measures))
        for label, row in per_class
    ]
    rows.sort(key=lambda row: row[2])
    columns = ("class", "images", "recall", "precision", "ROC-AUC")
    yield table(columns, rows[:MOST_CLASSES])
    if len(rows) > MOST_CLASSES:
        text = f"The {MOST_CLASSES} hardest of {len(rows)}; audit.json has them all."
        yield element("p", text, class_="note")
    confused = [(printable(a), printable(b), f"{n:,}") for a, b, n in found.confused()]
    if confused:
        yield element("h2", "Most confused")
        yield table(("true class", "taken for", "images"), confused, {0, 1})


def _number(row: Mapping[str, float | None], name: str = "value") -> str:
    value = row[name]
    return "–" if value is None else f"{value:.2f}"
