"""The page of a run, from what was asked to the command that makes it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx.console import counted
from featx.files import printable
from featx.pages import Markup, element, page, table
from featx.reporting.contents import Subject
from featx.reporting.figures import MOST_NUMBERED, figures
from featx.reporting.gallery import (
    cases,
    draw_cards,
    draw_samples,
    least_certain,
    worst_mistakes,
)
from featx.reporting.heat import heats_words
from featx.reporting.look import LOOK
from featx.reporting.map import SCRIPT, Layout, draw_map
from featx.reporting.parts import bar, drawings, folded, sectioned
from featx.reporting.tables import confused_pairs, headline
from featx.reporting.words import interval, metric, percent, sentences

__all__ = ["write_page"]

SAMPLES = 5  # images of a class,
MOST_SAMPLED = 12  # and classes of which some are shown
MOST_FAILURES = 50
MOST_PAIRS = 15
HEADINGS = {
    "found": "Asked and found",
    "data": "Data",
    "candidates": "Candidates",
    "estimate": "How good it is",
    "confusion": "What is mistaken for what",
    "curves": "Curves",
    "learning": "Learning and training",
    "map": "Map of the embeddings",
    "mistakes": "Worst mistakes",
    "uncertain": "Least certain images",
    "again": "Time, versions, and how to make it again",
}


def write_page(subject: Subject, layout: Layout | None) -> str:
    """The report as one self-contained HTML document.

    Parameters
    ----------
    subject : Subject
    layout : Layout, optional
        From `featx.reporting.map.lay_out`; None leaves the map out.

    Returns
    -------
    str
        Its only script is featx's own, allowed by its hash; without it the page is whole but for
        the pictures beside the map's marks.
    """
    drawn = {figure.name: figure for figure in figures(subject)}
    sections = {
        "found": [element("p", text, class_="verdict lead") for text in sentences(subject)],
        "data": list(_data(subject)),
        "candidates": list(_candidates(subject.results)),
        "estimate": list(_estimate(subject)),
        "confusion": [
            drawings([drawn.pop(n) for n in [*drawn] if "confusion" in n], wide=True),
            *_pairs(subject),
        ],
        "curves": [drawings([f for n, f in drawn.items() if not _learns(n)])],
        "learning": [drawings(own)] if (own := [f for n, f in drawn.items() if _learns(n)]) else [],
        "map": [] if layout is None else list(draw_map(subject, layout)),
        "mistakes": list(_mistakes(subject)),
        "uncertain": list(_uncertain(subject)),
        "again": list(_again(subject)),
    }
    body = sectioned(HEADINGS, sections)
    return page(f"Run {printable(subject.name)}", *body, style=LOOK, script=SCRIPT)


def _learns(name: str) -> bool:
    return name == "learning_curve" or name.startswith("training_")


def _data(subject: Subject) -> Iterator[Markup]:
    results, data = subject.results, subject.results["dataset"]
    parts = [
        f"{counted(data['images'], 'labelled image')} of {counted(len(data['classes']), 'class')}"
    ]
    if results.get("n_test_images"):
        parts.append(f"{results['n_images']:,} to train and choose on")
        parts.append(f"{counted(results['n_test_images'], 'image', 'that judges/that judge')} once")
    if results.get("n_groups"):
        shared = results.get("n_groups_also_tested")
        parts.append(f"{counted(results['n_groups'], 'group')}, none of which the folds split")
        if shared:
            parts.append(f"{counted(shared, 'group', 'has/have')} images in the test split too")
    yield element("p", "; ".join(parts) + f". Judged on {subject.judged_on}.")
    counts = sorted(data["classes"].items(), key=lambda row: (-row[1], row[0]))
    most = max(n for _, n in counts)
    rows = [[name, f"{n:,}", percent(n / data["images"]), bar(n / most)] for name, n in counts]
    yield folded(("class", "images", "share", ""), rows, f"all classes ({len(rows)})")
    if data["quarantined"]:
        failures = [
            [printable(f["id"]), printable(f["reason"])] for f in subject.failures[:MOST_FAILURES]
        ]
        yield element("h3", f"{counted(data['quarantined'], 'file')} could not be read")
        yield table(("file", "why"), failures, words=range(2))
    if subject.missing:
        yield element("p", subject.missing, class_="note")
    samples = list(draw_samples(subject, SAMPLES, MOST_SAMPLED))
    if samples:
        n = len(subject.classes)
        of = "each class" if n <= MOST_SAMPLED else f"the {MOST_SAMPLED} largest of {n} classes"
        yield element("h3", f"Some images of {of}")
        yield from samples


def _candidates(results: Mapping[str, Any]) -> Iterator[Markup]:
    rows = results.get("candidates", [])
    if not rows:
        return
    keys = ["backbone", "head", "sampler", "class_weight", "pca", "views"]
    varied = [k for k in keys if k == "head" or len({str(r[k]) for r in rows}) > 1]
    scoring = metric(results["scoring"])
    columns = [*(k.replace("_", " ") for k in varied), f"{scoring} on the folds", "sd",
               "less the chosen", "p", "less no sampler", "best setting", "s"]  # fmt: skip
    cells = []
    ranked = sorted(rows, key=lambda r: (r["cv_mean"] is None, -(r["cv_mean"] or 0)))
    for row in ranked:
        is_chosen = all(row[k] == results["chosen"].get(k) for k in keys)
        named = [printable(str(row[k])) for k in varied]
        named[0] = ("→ " if is_chosen else "") + named[0]
        against, none = row["against_chosen"], row["against_none"]
        cells.append(
            [
                *named,
                f"{row['cv_mean']:.3f}" if row["cv_mean"] is not None else row["status"],
                f"{row['cv_std']:.3f}" if row["cv_std"] is not None else "",
                "chosen" if is_chosen else _difference(against),
                "" if is_chosen or not against else f"{against['p_adjusted']:.2g}",
                _difference(none),
                ", ".join(f"{k}={_value(v)}" for k, v in row["params"].items()),
                f"{row['elapsed_s']:.1f}",
            ]
        )
    empty = [i for i in range(len(columns)) if not any(row[i] for row in cells)]
    kept = [i for i in range(len(columns)) if i not in empty]
    yield table(
        [columns[i] for i in kept], [[row[i] for i in kept] for row in cells], range(len(varied))
    )
    method = results["comparison"]["folds"]
    yield element(
        "p",
        "The best of each kind, on the folds that chose among them: to rank them, not to report. "
        f"Differences with 95 % intervals: {method['method']}; p-values adjusted for all pairs.",
        class_="note",
    )
    tested = [r for r in ranked if r["against_chosen_tested"]]
    if tested:
        lines = [
            [
                printable(" ".join(str(r[k]) for k in varied)),
                _difference(r["against_chosen_tested"]),
                f"{r['against_chosen_tested']['p_adjusted']:.2g}",
            ]
            for r in tested
        ]
        yield element("h3", "The same on the images that judge once")
        yield table(("candidate", "less the chosen", "p"), lines)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return str(len(value))
    return f"{value:g}" if isinstance(value, float) else printable(str(value))


def _difference(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    mean, low, high = (round(row[k], 3) + 0.0 for k in ("mean", "low", "high"))  # no minus zero
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def _estimate(subject: Subject) -> Iterator[Markup]:
    estimate, results = subject.estimate, subject.results
    others = results["estimates"]
    columns = ["", "here", *(printable(name) for name in others)]
    named = {name: dict(headline(one)) for name, one in others.items()}
    rows = [
        [
            metric(name),
            interval(row),
            *(interval(o[name]) if name in o else "" for o in named.values()),
        ]
        for name, row in headline(estimate)
    ]
    yield table(columns, rows)
    yield element("p", f"Here: {estimate['description']}. {estimate['interval']}.", class_="note")
    for name, one in others.items():
        yield element("p", f"{printable(name)}: {one['description']}.", class_="note")
    if estimate.get("by_group"):
        by = estimate["by_group"]
        yield element("h3", "By group: the mean probability of each group's images")
        yield table(("", counted(by["n_predicted_groups"], "group")),
                    [[metric(n), interval(r)] for n, r in headline(by)])  # fmt: skip
    yield element("h3", "Each class")
    measures = ("recall", "precision", "f1", "average_precision")
    per_class = sorted(
        estimate["per_class"].items(),
        key=lambda row: (row[1]["f1"]["value"] is None, row[1]["f1"]["value"] or 0.0),
    )
    lines = [
        [printable(label), f"{row['support']:,}", *(interval(row[m]) for m in measures)]
        for label, row in per_class
    ]
    yield folded(
        ["class", "images", *map(metric, measures)],
        lines,
        f"all classes, hardest first ({len(lines)})",
    )


def _pairs(subject: Subject) -> Iterator[Markup]:
    """The most frequent mistakes, where the matrix has no numbers."""
    rows = confused_pairs(subject).rows[:MOST_PAIRS]
    if len(subject.classes) <= MOST_NUMBERED or not rows:
        return
    lines = [[printable(true), printable(said), f"{n:,}", percent(share)]
             for true, said, n, share in rows]  # fmt: skip
    yield element("h3", "The most frequent mistakes")
    yield table(("true", "predicted", "images", "share of the true class"), lines, words=range(2))


def _mistakes(subject: Subject) -> Iterator[Markup]:
    rows = worst_mistakes(subject)
    wrong = int(((subject.y != subject.predicted) & (subject.repeat == 0)).sum())
    if not wrong:
        yield element("p", "No image was judged wrong.")
        return
    yield element(
        "p",
        (
            "The one wrong answer"
            if wrong == 1
            else f"The {len(rows)} surest of {wrong:,} wrong answers"
        )
        + ": a wrong label, an image that shows both, or what the model has not learned. "
        + _why(subject),
    )
    yield draw_cards(subject, cases(subject, rows))


def _uncertain(subject: Subject) -> Iterator[Markup]:
    yield element(
        "p",
        "Images between whose two likeliest classes the model could hardly decide: the first to "
        "look at, or to have labelled more like. " + _why(subject),
    )
    yield draw_cards(subject, cases(subject, least_certain(subject)))


def _why(subject: Subject) -> str:
    if subject.embedded is None:
        return ""
    return heats_words(subject.heats) + (
        "Below each are the training images that the backbone finds nearest, with the cosine of "
        "their standardised embeddings."
    )


def _again(subject: Subject) -> Iterator[Markup]:
    results, environment = subject.results, subject.environment
    cost = "; ".join(
        f"{k.removesuffix('_s')} {v:,.1f} s" for k, v in results.get("cost", {}).items()
    )
    yield element("p", f"Time: {cost}. Seed {results.get('seed')}.")
    versions = ", ".join(f"{k} {v}" for k, v in environment.get("versions", {}).items())
    yield element(
        "p",
        f"Python {environment.get('python')} on {environment.get('platform')}, "
        f"{counted(environment.get('cores') or 0, 'core')}; {versions}.",
    )
    yield element("p", "The resolved configuration is in the run; this makes the run again:")
    yield element("pre", subject.command, tabindex=0)
    if notes := results.get("notes"):
        yield element("h3", "Notes of the run")
        yield element("ul", *(element("li", printable(note)) for note in notes))
