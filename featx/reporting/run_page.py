"""The page of a run, from what was asked to the command that makes it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx import console
from featx.console import counted
from featx.numbers import in_percent, interval, percent
from featx.reporting.blocks import (
    Bar,
    Block,
    Chapter,
    CodeBlock,
    Facts,
    Figure,
    Figures,
    Heading,
    Paragraph,
    Points,
    Table,
    Terms,
)
from featx.reporting.browsing import browser_blocks
from featx.reporting.by import BY_FIGURE, by_blocks
from featx.reporting.contents import Subject
from featx.reporting.evaluated import evaluation_chapters
from featx.reporting.figures import MOST_NUMBERED, figures
from featx.reporting.gallery import (
    case_cards,
    cases,
    cases_table,
    least_certain,
    sample_group,
    worst_mistakes,
)
from featx.reporting.glossary import GLOSSARY
from featx.reporting.heat import heats_words
from featx.reporting.html import page
from featx.reporting.learning_figures import learning_figures
from featx.reporting.map import MapLayout, map_blocks
from featx.reporting.methods import methods_text
from featx.reporting.operating import operating_blocks
from featx.reporting.race_page import race_chapter
from featx.reporting.sentences import asked, compared, trusted
from featx.reporting.tables import (
    candidate_blocks,
    class_table,
    confused_pairs,
    estimate_blocks,
    hardest_first,
    headline_metric,
    in_force,
)
from featx.reporting.tabular import tabular_blocks
from featx.reporting.verdict import run_verdict
from featx.stats.metrics import metric_name

SAMPLES = 5  # images of a class,
MOST_SAMPLED = 12  # and classes of which some are shown
MOST_FAILURES = 50
MOST_PAIRS = 15


def write_page(subject: Subject, layout: MapLayout | None) -> str:
    """The report as one self-contained HTML document.

    Parameters
    ----------
    subject : Subject
    layout : MapLayout, optional
        From `featx.reporting.map.lay_out`; None leaves the map out.

    Returns
    -------
    str
        Its only script is featx's own, allowed by its hash; without it the page is whole but for
        the browser of all images and the pictures beside the map's marks.
    """
    with console.stage("Drawing figures"):
        drawn, learning = list(figures(subject)), list(learning_figures(subject))
    confusion = [f for f in drawn if "confusion" in f.name]
    curves = [f for f in drawn if "confusion" not in f.name and not f.name.startswith(BY_FIGURE)]
    evaluated = "evaluation" in subject.results
    blocks: list[Block] = [
        _head(subject),
        Chapter("found", "What was found", [Points(run_verdict(subject.results), "verdict")]),
        *(evaluation_chapters(subject.results) if evaluated else ()),
        Chapter("data", "Data", list(_data(subject))),
        Chapter("race", "Race before the fit", race_chapter(subject.results)),
        Chapter("candidates", "Candidates", list(_candidates(subject))),
        Chapter("estimate", "How good it is", list(_estimate(subject))),
        Chapter("by", "By site and other columns", list(_by(subject, drawn))),
        Chapter("tabular", "Columns beside the embedding", list(tabular_blocks(subject.results))),
        Chapter("operating", "Operating points", list(operating_blocks(subject))),
        Chapter("confusion", "What is mistaken for what",
                [Figures(confusion, wide=True), *_pairs(subject)]),
        Chapter("images", "All mistakes, and other images", list(browser_blocks(subject))),
        Chapter("curves", "Curves", [Figures(curves)]),
        Chapter("learning", "Learning and training", [Figures(learning)] if learning else []),
        Chapter("map", "Map of the embeddings",
                [] if layout is None else list(map_blocks(subject, layout))),
        Chapter("mistakes", "Worst mistakes", list(_mistakes(subject))),
        Chapter("uncertain", "Least certain images", list(_uncertain(subject))),
        Chapter("methods", "Methods, for a paper", [CodeBlock(methods_text(subject))]),
        Chapter("again", "Time, versions, and how to make it again", list(_again(subject))),
    ]  # fmt: skip
    return page(f"Run {subject.name}", blocks, broad=True)


def _head(subject: Subject) -> Facts:
    """What the page is about, with the number to read."""
    data = subject.results["dataset"]
    size = f"{counted(data['images'], 'image')} of {counted(len(data['classes']), 'class')}"
    facts = [
        ("data set", f"{data['source']} ({size})"),
        ("date", subject.made),
        _headline(subject.results),
    ]
    return Facts([(name, value) for name, value in facts if value])


def _headline(results: Mapping[str, Any]) -> tuple[str, str]:
    """The number to read: the metric, or with a threshold the recall of its class."""
    threshold = in_force(results)
    if threshold is None:
        name = headline_metric(results)
        return f"{metric_name(name)} [95 % interval]", interval(
            results["estimate"]["metrics"][name]
        )
    name = str(threshold["asked"]).rpartition(":")[0]
    value = in_percent(threshold["recall"])
    return f"recall of {name} [95 % interval]", value


def _data(subject: Subject) -> Iterator[Block]:
    results, data = subject.results, subject.results["dataset"]
    yield Paragraph(asked(subject))
    parts = [
        f"{counted(data['images'], 'labelled image')} of {counted(len(data['classes']), 'class')}"
    ]
    if results.get("n_test_images") and "evaluation" not in results:
        parts.append(f"{results['n_images']:,} to train and select on")
        parts.append(f"{counted(results['n_test_images'], 'test image')}, used once")
    if results.get("n_groups"):
        shared = results.get("n_groups_also_tested")
        parts.append(f"{counted(results['n_groups'], 'group')}, none of which the folds split")
        if shared:
            parts.append(f"{counted(shared, 'group', 'has/have')} images in the test split too")
    yield Paragraph("; ".join(parts) + f". Evaluation: {subject.judged_on}.")
    counts = sorted(data["classes"].items(), key=lambda row: (-row[1], row[0]))
    most = max(n for _, n in counts)
    rows = [[name, n, percent(n / data["images"]), Bar(n / most)] for name, n in counts]
    yield Table(("class", "images", "share", ""), rows)
    yield from _corrections(data.get("corrections"))
    if data["quarantined"]:
        failures = [[f["id"], f["reason"]] for f in subject.failures[:MOST_FAILURES]]
        yield Heading(f"{counted(data['quarantined'], 'file')} could not be read")
        yield Table(("file", "why"), failures, range(2))
    if subject.missing:
        yield Paragraph(subject.missing, "note")
    if subject.embedded is not None and not subject.of_arrays:
        n = len(subject.classes)
        of = "each class" if n <= MOST_SAMPLED else f"the {MOST_SAMPLED} largest of {n} classes"
        yield Heading(f"Some images of {of}")
        yield sample_group(subject, SAMPLES, MOST_SAMPLED)


def _candidates(subject: Subject) -> Iterator[Block]:
    if "evaluation" not in subject.results:
        yield Paragraph(compared(subject))
        yield from candidate_blocks(subject.results)


def _estimate(subject: Subject) -> Iterator[Block]:
    yield Paragraph(trusted(subject))
    yield from estimate_blocks(subject.results)
    yield Heading("Each class")
    yield class_table(hardest_first(subject.estimate["per_class"]))
    yield Terms([term for term in GLOSSARY if term != "Pareto-optimal"])


def _by(subject: Subject, drawn: Sequence[Figure]) -> Iterator[Block]:
    forests = [figure for figure in drawn if figure.name.startswith(BY_FIGURE)]
    yield from by_blocks(subject.results)
    if forests:
        yield Figures(forests)


def _corrections(done: Mapping[str, Any] | None) -> Iterator[Block]:
    """What --labels changed, and which decisions are no longer about the images there are."""
    if not done:
        return
    changes, stale = done["changes"], done["not_applied"]
    yield Heading(f"Corrections: {counted(len(changes), 'change')} by --labels")
    if changes:
        yield _listed(("id", "decision", "label", "value"), changes)
    if stale:
        yield Paragraph(f"{counted(len(stale), 'decision', 'was/were')} not applied:", "note")
        yield _listed(("id", "decision", "reason"), stale)


def _listed(keys: Sequence[str], rows: Sequence[Mapping[str, str | None]]) -> Table:
    return Table(keys, [[row[k] or "" for k in keys] for row in rows], range(len(keys)))


def _pairs(subject: Subject) -> Iterator[Block]:
    """The most frequent mistakes, where the matrix has no numbers."""
    rows = confused_pairs(subject).rows[:MOST_PAIRS]
    if len(subject.classes) <= MOST_NUMBERED or not rows:
        return
    lines = [[*row[:3], percent(row[3])] for row in rows]
    yield Heading("The most frequent mistakes")
    yield Table(("true", "predicted", "images", "share of the true class"), lines, range(2))


def _mistakes(subject: Subject) -> Iterator[Block]:
    rows = worst_mistakes(subject)
    wrong = int(((subject.y != subject.y_pred) & (subject.repeat == 0)).sum())
    if not wrong:
        yield Paragraph("No image was predicted wrong.")
        return
    most = f"The {len(rows)} most confident of {wrong:,} wrong predictions"
    yield Paragraph(
        ("The one wrong prediction" if wrong == 1 else most)
        + ": a wrong label, an image that shows both, or what the model has not learned. "
        + _why(subject)
    )
    yield _cases(subject, rows)


def _cases(subject: Subject, rows: NDArray[np.int64]) -> Block:
    """Judged images as cards, or as a table where there are no pictures of them."""
    if subject.of_arrays:
        return cases_table(subject, cases(subject, rows))
    return case_cards(subject, rows)


def _uncertain(subject: Subject) -> Iterator[Block]:
    yield Paragraph(
        "Images that the model was torn on: review these first, or label more like them. "
        + _why(subject)
    )
    yield _cases(subject, least_certain(subject))


def _why(subject: Subject) -> str:
    if subject.embedded is None or subject.embedded.tested.all():
        return ""
    if subject.of_arrays:
        return "nearest_training_images are those with the largest cosine of standardised rows."
    return heats_words(subject.heats) + (
        "Below each are the training images that the backbone finds nearest, with the cosine of "
        "their standardised embeddings."
    )


def _again(subject: Subject) -> Iterator[Block]:
    results, environment = subject.results, subject.environment
    cost = "; ".join(
        f"{k.removesuffix('_s')} {v:,.1f} s" for k, v in results.get("cost", {}).items()
    )
    versions = ", ".join(f"{k} {v}" for k, v in environment.get("versions", {}).items())
    yield Paragraph(f"Time: {cost}. Seed {results.get('seed')}.")
    yield Paragraph(
        f"Python {environment.get('python')} on {environment.get('platform')}, "
        f"{counted(environment.get('cores') or 0, 'core')}; {versions}."
    )
    yield Paragraph("The resolved configuration is in the run; this makes the run again:")
    yield CodeBlock(subject.command)
    if notes := results.get("notes"):
        yield Heading("Notes of the run")
        yield Points(notes)
