"""An audit as JSON, as tables, and in plain sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from featx import console, numbers
from featx.auditing import Audit
from featx.auditing.audit import Copies
from featx.auditing.labels import LabelIssues
from featx.auditing.shortcuts import FAMILIES, Shortcut
from featx.data.copies import copies_document, copies_sentence
from featx.extraction import Extraction
from featx.files import printable

Table = tuple[Sequence[str], list[Sequence[Any]]]
MOST_NAMED = 5
#: Columns of each table that an audit may write.
TABLES: dict[str, tuple[str, ...]] = {
    "exclude": ("path", "reason"),
    "groups": ("path", "group"),
    "copies": (
        *("set", "path", "label", "split", "kind", "similarity"),
        *("across_classes", "across_splits", "keep"),
    ),
    "series": (
        *("set", "path", "label", "split", "similarity"),
        *("across_classes", "across_splits"),
    ),
    "outliers": ("path", "label", "score"),
    "labels": ("path", "label", "believed", "probability_of_label", "probability_of_believed"),
}


def audit_tables(found: Audit) -> dict[str, Table]:
    """Name -> columns and rows; each with a column ``path`` is a list for ``--exclude``."""
    data = found.data
    tables: dict[str, Table] = {
        "exclude": (TABLES["exclude"], list(found.excluded())),
        "groups": (TABLES["groups"], list(found.grouped())),
        "copies": (TABLES["copies"], list(_set_rows(found, found.copies, TABLES["copies"]))),
        "series": (TABLES["series"], list(_set_rows(found, found.series, TABLES["series"]))),
        "outliers": (
            TABLES["outliers"],
            [(data.ids[i], data.labels[i], round(found.outliers[i], 3)) for i in found.strange],
        ),
    }
    if found.issues is not None:
        tables["labels"] = (TABLES["labels"], list(_label_rows(found, found.issues)))
    return tables


def _label_rows(found: Audit, issues: LabelIssues) -> Iterator[Sequence[Any]]:
    data = found.data
    for k in found.suspects:
        believed = int(issues.believed[k])
        known = (data.ids[found.rows[k]], data.labels[found.rows[k]], data.classes[believed])
        yield (*known, _short(issues.quality[k]), _short(issues.proba[k, believed]))


def _short(value: float) -> float:
    """Four digits: small probabilities differ in the first that are not 0."""
    return float(f"{value:.4g}")


def _set_rows(
    found: Audit, sets: Sequence[Copies], columns: Sequence[str]
) -> Iterator[Sequence[Any]]:
    """A row for each image of each set."""
    data = found.data
    for number, c in enumerate(sets, start=1):
        of_set = {"set": number, "kind": "exact" if c.found.exact else "near", **_set_facts(c)}
        for i in c.found.rows:
            row = {"path": data.ids[i], "label": data.labels[i], "split": data.splits[i],
                   "keep": i == c.keep, **of_set}  # fmt: skip
            yield [row[name] for name in columns]


def _set_facts(c: Copies) -> dict[str, Any]:
    return {
        "similarity": round(c.found.similarity, 4),
        "across_classes": c.across_classes,
        "across_splits": c.across_splits,
    }


def audit_document(found: Audit, extraction: Extraction) -> dict[str, Any]:
    """Content of ``audit.json``: everything but the pictures."""
    data, done = found.data, extraction.manifest.corrections
    counts = Counter(label for label in data.labels if label is not None)
    return {
        "schema_version": 1,
        "source": printable(extraction.manifest.source),
        "backbone": extraction.name,
        "images": len(data),
        "quarantined": [{"id": printable(f.id), "reason": f.reason} for f in extraction.failures],
        "passed_over": dict(extraction.manifest.ignored),
        "serious": found.serious,
        "summary": list(audit_sentences(found)),
        "classes": {label: counts[label] for label in data.classes},
        "exact_copies": copies_document(data.equal),
        "copies": [
            {"ids": _ids(found, c), "exact": c.found.exact, **_set_facts(c)} for c in found.copies
        ],
        "series": [{"ids": _ids(found, c), **_set_facts(c)} for c in found.series],
        "label_issues": _labels_document(found),
        "outliers": [
            {"id": data.ids[i], "score": round(float(found.outliers[i]), 3)} for i in found.strange
        ],
        "shortcuts": [shortcut.document() for shortcut in found.shortcuts],
        "separability": found.separability,
        "confused": [{"true": a, "taken_for": b, "images": n} for a, b, n in found.confused()],
        "straddling_groups": found.straddling,
        "group_purity": found.group_purity,
        "groups_found": [] if found.together is None else found.together.document(),
        "notes": found.notes,
        "times": found.times,
        **({"corrections": done.document()} if done else {}),
    }


def _ids(found: Audit, c: Copies) -> list[str]:
    return [found.data.ids[i] for i in c.found.rows]


def _labels_document(found: Audit) -> dict[str, Any] | None:
    """Suspects, and the quality of every label (by id), from which others can be ranked."""
    if found.issues is None:
        return None
    quality = zip(found.rows, found.issues.quality, strict=True)
    return {
        "suspects": [
            dict(zip(TABLES["labels"], row, strict=True))
            for row in _label_rows(found, found.issues)
        ],
        "quality": {found.data.ids[i]: None if np.isnan(q) else _short(q) for i, q in quality},
    }


def audit_sentences(found: Audit) -> Iterator[str]:
    """What was found, the worst first; names are printable."""
    if found.serious:
        yield f"Serious: {printable(', '.join(found.serious))}."
    else:
        yield "Nothing serious was found."
    yield from _copies_sentences(found)
    yield from _series_sentences(found)
    if found.straddling:
        names = _named(list(found.straddling))
        yield f"{console.counted(len(found.straddling), 'group')} in more than one split: {names}."
    for shortcut in found.shortcuts:
        yield from _shortcut_sentences(shortcut)
    yield from _label_sentences(found)
    if found.strange:
        outliers = console.counted(len(found.strange), "outlier")
        yield f"{outliers}: unlike the images nearest to them."
    if found.group_purity is not None:
        purity = found.group_purity
        yield (
            f"The other images of a group predict the class of {100 * purity['accuracy']:.0f} % of "
            f"{purity['images']:,} images (the commonest class alone: "
            f"{100 * purity['commonest_class']:.0f} %): keep groups together in every split."
        )
    if found.together is not None:
        yield from map(printable, found.together.sentences())
    yield from found.notes


def _copies_sentences(found: Audit) -> Iterator[str]:
    if found.alike is not None:
        yield found.alike
    if not found.copies:
        yield "No copies: every image occurs once."
        return
    yield f"{copies_sentence(found.data.equal)}."
    near = [c for c in found.copies if not c.found.exact]
    if near:
        yield (
            f"Near copies: {console.counted(len(near), 'set')} of images that are resized, "
            f"recompressed, cut or turned; {sum(c.across_splits for c in near):,} across splits, "
            f"{sum(c.across_classes for c in near):,} with different labels."
        )
    groups = found.data.groups
    apart = sum(len({groups[i] for i in c.found.rows}) > 1 for c in found.copies)
    if apart and any(groups):
        yield f"{apart:,} of them lie in several groups, which --group groups.csv joins."


def _series_sentences(found: Audit) -> Iterator[str]:
    if not found.series:
        return
    images = sum(len(c.found.rows) for c in found.series)
    across = sum(c.across_splits for c in found.series)
    yield (
        f"Same series, not copies: {console.counted(len(found.series), 'set')} of neighbouring "
        f"slices or frames ({images:,} images); {across:,} across splits. --group groups.csv keeps "
        "each together."
    )


def _shortcut_sentences(shortcut: Shortcut) -> Iterator[str]:
    what = FAMILIES[shortcut.family]
    accuracy = shortcut.balanced_accuracy
    for label in shortcut.given_away[:MOST_NAMED]:
        auc, serious = shortcut.by_class[label], label in shortcut.beyond
        verdict = "Shortcut" if serious else "Possible shortcut, not serious"
        why = (
            ""
            if serious
            else f"; the embedding reaches {numbers.number(shortcut.content[label]['value'], 2)}"
        )
        yield (
            f"{verdict}: {what} alone identif{'y' if what.endswith('s') else 'ies'} class "
            f"{printable(label)!r}, ROC-AUC {numbers.interval(auc, 2)}{why}; mainly through: "
            f"{printable(shortcut.strongest[label])}."
        )
    if len(shortcut.given_away) > MOST_NAMED:
        yield f"... and {len(shortcut.given_away) - MOST_NAMED} more classes by {what}."
    if not shortcut.given_away and (accuracy["low"] or 0) > 2 * shortcut.chance:
        yield (
            f"{what[0].upper()}{what[1:]} alone predict{'' if what.endswith('s') else 's'} the "
            f"class with a balanced accuracy of {numbers.interval(accuracy, 2)} (chance "
            f"{shortcut.chance:.2f})."
        )


def _label_sentences(found: Audit) -> Iterator[str]:
    if found.issues is None or found.separability is None:
        return
    n, total = len(found.suspects), len(found.rows)
    if n:
        verb = "is" if n == 1 else "are"
        yield (
            f"{n:,} of {total:,} labels {verb} doubted: a classifier trained without the image "
            "gives its label less than a tenth of what guessing would."
        )
    else:
        yield f"None of {total:,} labels is doubted by a classifier trained without its image."
    counts = Counter(label for label in found.data.labels if label is not None)
    most, least = counts.most_common()[0], counts.most_common()[-1]
    yield (
        f"Imbalance {most[1] / least[1]:.1f} : 1, from {printable(most[0])!r} ({most[1]:,}) to "
        f"{printable(least[0])!r} ({least[1]:,})."
    )
    recalls = {k: v["recall"]["value"] for k, v in found.separability["per_class"].items()}
    worst = sorted((v, k) for k, v in recalls.items() if v is not None)[:3]
    yield "Hardest classes by recall, out of fold: " + ", ".join(
        f"{printable(k)} {v:.2f}" for v, k in worst
    ) + "."  # fmt: skip


def _named(names: Sequence[str]) -> str:
    return console.first_few([printable(name) for name in names], MOST_NAMED)
