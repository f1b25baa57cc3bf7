"""One answer for each group of images, in sentences and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from featx.console import counted, first_few
from featx.files import printable
from featx.numbers import NOTHING, in_percent, interval, percent
from featx.reporting.blocks import Block, Heading, Paragraph, Table
from featx.scoring.groups import GroupScores
from featx.scoring.scores import Scores, join_names
from featx.stats.metrics import metric_name
from featx.types import Row

MOST_NAMED = 8
MOST_ROWS = 500
WAYS = {
    "mean": "the mean probabilities of their images",
    "vote": "the votes of their images",
    "max": "the image that is likeliest {}",
    "noisy-or": "the probability that any image is {} (noisy-or)",
}


def way_words(way: str) -> str:
    """How images give the answer, in words."""
    name, _, label = way.partition(":")
    return WAYS.get(name, "{}").format(repr(printable(label)))


def group_sentence(results: Row, metric: str, threshold: Row | None) -> str | None:
    """The number to read for groups; None for a run without groups."""
    found = results["estimate"].get("by_group")
    if not found:
        return None
    name, row = metric_name(metric), found["metrics"].get(metric)
    label = None if threshold is None else str(threshold["asked"]).rpartition(":")[0]
    if label in found["per_class"]:
        name, row = f"recall of {printable(str(label))}", found["per_class"][label]["recall"]
    if row is None:
        return None
    groups = counted(found["n_predicted_groups"], "group")
    way = way_words(found.get("way", "mean"))
    return f"By group: {name} {interval(row)} on {groups}, by {way}{_sets(found)}."


def _sets(found: Row) -> str:
    sets = found.get("prediction_sets")
    if not sets:
        return ""
    covered, meant = in_percent(sets["covered"]), 100 * sets["coverage"]
    return f"; {meant:g} % prediction sets hold the true class of {covered} of the groups"


def group_blocks(found: Row, headline: Mapping[str, Row]) -> Iterator[Block]:
    """The metrics of groups, how they were answered, and what their prediction sets achieve.

    Parameters
    ----------
    found : mapping
        ``by_group`` of an estimate.
    headline : mapping of str to mapping
        The metrics to show.
    """
    yield Heading("By group")
    n_groups = counted(found["n_predicted_groups"], "group")
    rows: list[list[Any]] = [[metric_name(name), row] for name, row in headline.items()]
    if sets := found.get("prediction_sets"):
        rows.append([f"in {100 * sets['coverage']:g} % prediction set", sets["covered"]])
        rows.append(["abstained", sets["abstained"]])
        rows.append(["accuracy of the others", sets["accuracy_of_the_others"]])
    yield Table(("", n_groups), rows)
    text = f"Groups are answered by {way_words(found.get('way', 'mean'))}."
    if ways := found.get("ways"):
        chosen = ", ".join(f"{printable(name)} {n}" for name, n in ways.items())
        text += f" The way was chosen in each fold on the groups of the other folds: {chosen}."
    if left_out := found["groups_of_several_classes"]:
        mixed = counted(left_out, "group", "is left out: it has/are left out: they have")
        text += f" {mixed} images of several classes."
    yield Paragraph(f"{text} {found['interval']}.", "note")


def group_scores_sentence(groups: Scores) -> str:
    """What was predicted for groups of new images."""
    assert isinstance(groups, GroupScores)
    n, read = len(groups), len(groups) - len(groups.failures)
    named = [f"{printable(k)!r} {v:,}" for k, v in groups.counts().items() if v]
    text = f"By group: {read:,} of {counted(n, 'group')} predicted, by {way_words(groups.way)}"
    text += f": {first_few(named, MOST_NAMED)}" if named else ""
    if groups.abstained is not None and read:
        k = int(groups.abstained.sum())
        text += f"; the model abstains on {k:,} ({percent(k / read)})"
    part = int(((groups.n_unreadable > 0) & (groups.n_unreadable < groups.n_images)).sum())
    if part:
        text += f"; {counted(part, 'group', 'lacks/lack')} images that could not be read"
    return f"{text}."


def group_scores_blocks(groups: Scores) -> Iterator[Block]:
    """The groups of a page of new images, the least sure first."""
    assert isinstance(groups, GroupScores)
    yield Paragraph(group_scores_sentence(groups))
    y_pred = groups.y_pred
    sure = groups.probabilities[np.arange(len(groups)), np.maximum(y_pred, 0)]
    order = np.argsort(np.where(y_pred >= 0, sure, -1.0), kind="stable")
    columns = ["group", "predicted", "probability", "prediction set", "abstained",
               "out of distribution", "images", "not read"]  # fmt: skip
    rows = [_row(groups, i, float(sure[i])) for i in order[:MOST_ROWS].tolist()]
    yield Table(columns, rows, {0, 1, 3})
    if len(order) > MOST_ROWS:
        yield Paragraph(
            f"The {MOST_ROWS:,} least sure of {len(order):,}; the output file has all.", "note"
        )


def _row(groups: GroupScores, i: int, sure: float) -> list[Any]:
    counts = [int(groups.n_images[i]), int(groups.n_unreadable[i])]
    name = printable(groups.ids[i])
    if groups.y_pred[i] < 0:
        return [name, "no image could be read", *[NOTHING] * 4, *counts]
    inside = NOTHING
    if groups.sets is not None:
        inside = join_names(groups.classes[c] for c in np.flatnonzero(groups.sets[i]))
    abstained = NOTHING if groups.abstained is None else "yes" if groups.abstained[i] else "no"
    share = NOTHING if groups.ood_share is None else percent(float(groups.ood_share[i]))
    label = printable(groups.classes[groups.y_pred[i]])
    return [name, label, f"{sure:.3f}", printable(inside), abstained, share, *counts]
