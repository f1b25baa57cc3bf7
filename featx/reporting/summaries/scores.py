"""A scoring for a person: a few sentences, then where the page and the rows are."""

from __future__ import annotations

from collections.abc import Iterator

from featx import console
from featx.console import counted, first_few
from featx.files import printable
from featx.reporting.blocks import Points, Strong, Text
from featx.reporting.grouped import group_scores_sentence
from featx.reporting.summaries.thresholds import threshold_sentence
from featx.reporting.terminal import show
from featx.scoring.scores import Scores

MOST_NAMED = 8


def print_scores(scores: Scores) -> None:
    """Print the sentences and the paths; with ``-v`` a table of all classes before them."""
    if console.verbosity() >= 1:
        rows = [(printable(name), count) for name, count in _counts(scores)]
        console.table("", ("class", "images"), rows)
        console.text("")
    show([Points(scores_verdict(scores))])
    console.text("")
    page = "none; --report FILE writes one" if scores.page is None else printable(scores.page)
    console.text(f"Page: {page}")
    if scores.output is not None:
        console.text(f"Scores: {printable(scores.output)}")
    if scores.groups is not None and scores.groups.output is not None:
        console.text(f"Groups: {printable(scores.groups.output)}")


def scores_verdict(scores: Scores) -> list[Text]:
    """Three to six sentences: predicted, by which threshold, what is unusual, what to do next."""
    groups = [] if scores.groups is None else [group_scores_sentence(scores.groups)]
    return [_found(scores), *_threshold(scores), *groups, *scores.sentences(), _next(scores)]


def _counts(scores: Scores) -> list[tuple[str, int]]:
    """Predicted classes, the most frequent first."""
    counts = [(name, count) for name, count in scores.counts().items() if count]
    return sorted(counts, key=lambda pair: (-pair[1], pair[0]))


def _found(scores: Scores) -> Text:
    read = f"{len(scores) - len(scores.failures):,} of {counted(len(scores), 'file')}"
    named = [f"{printable(name)!r} {count:,}" for name, count in _counts(scores)]
    if not named:
        return "Nothing was predicted: no image could be read."
    what = Strong(first_few(named, MOST_NAMED))
    return [f"{read} read and predicted: ", what, "."]


def _threshold(scores: Scores) -> Iterator[Text]:
    if scores.threshold is not None:
        yield f"{threshold_sentence(scores.threshold)}."


def _next(scores: Scores) -> str:
    """The one thing to do next."""
    far = {check.name for check in scores.checks if check.far}
    if "quarantined" in far:
        return "Next: look at the column error of the rows, which says why a file was not read."
    if "ood" in far or scores.drifted:
        return (
            "Next: label some of these images and run featx evaluate on them: the estimate of the "
            "fit need not hold here."
        )
    if scores.abstained is not None and scores.abstained.any():
        return "Next: have a person look at the rows whose abstained is True."
    return "Next: use the rows."
