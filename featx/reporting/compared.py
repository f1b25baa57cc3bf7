"""A comparison of runs in three to six sentences: the number to read, who is better, what next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx.comparing.verdict import ALPHA
from featx.console import counted
from featx.files import printable
from featx.numbers import interval, number
from featx.reporting.blocks import Strong, Text
from featx.stats.metrics import lower_is_better, metric_name
from featx.types import Row

MOST_VERDICTS = 2


def evaluated(judged: Mapping[str, Any]) -> str:
    """The images, and how each run was evaluated on them."""
    text = f"{counted(judged['n_images'], 'image')}: {judged['description']}"
    if judged["n_repeats"] > 1:
        text += f", {counted(judged['n_repeats'], 'partition')}"
    if judged["n_folds"] is not None:
        text += f", {counted(judged['n_folds'], 'fold')}"
    return text + "."


def comparison_verdict(document: Row) -> list[Text]:
    """Three to six sentences: the number to read, who is better, where, what is doubtful, next."""
    sentences: list[Text | None] = [
        _found(document), *_verdicts(document), _classes(document), _doubtful(document),
        _next(document),
    ]  # fmt: skip
    return [sentence for sentence in sentences if sentence]


def _found(document: Row) -> Text:
    """The metric of the best run beside that of the baseline."""
    metric, name = document["metric"], metric_name(document["metric"])
    baseline = document["runs"][0]
    known = [run for run in document["runs"] if run["metrics"][metric]["value"] is not None]
    on = f"on {evaluated(document['judged'])}"
    if not known:
        return f"No {name} is defined {on}"
    sign = -1 if lower_is_better(metric) else 1
    best = max(known, key=lambda run: sign * run["metrics"][metric]["value"])
    value = interval(best["metrics"][metric])
    if best is baseline:
        against = ", the baseline, which no other run exceeds"
    else:
        of_baseline = interval(baseline["metrics"][metric])
        against = f" against {of_baseline} of the baseline {printable(baseline['label'])!r}"
    shown = Strong(f"{name} {value} of {printable(best['label'])!r}")
    return ["The number to read: ", shown, f"{against}, {on}"]


def _verdicts(document: Row) -> Iterator[str]:
    differences = document["differences"]
    yield from (each["verdict"] for each in differences[:MOST_VERDICTS])
    if len(differences) > MOST_VERDICTS:
        more = counted(len(differences) - MOST_VERDICTS, "more verdict", "is/are")
        yield f"{more} in the tables (-v) and on the page."


def _classes(document: Row) -> str | None:
    """The class that the first difference changes most."""
    if not document["differences"]:
        return None
    each = document["differences"][0]
    name, row = max(each["per_class"].items(), key=lambda item: item[1]["wins"] + item[1]["losses"])
    if not row["wins"] + row["losses"]:
        return None
    return (
        f"Most changes are in class {printable(name)!r}: {printable(each['run'])!r} is right where "
        f"the baseline is wrong on {counted(row['wins'], 'image')}, and wrong where it is right on "
        f"{row['losses']:,}."
    )


def _doubtful(document: Row) -> str | None:
    of_cost = document.get("notes_on_cost", ())
    doubts = [note for note in document["notes"] if note not in of_cost]
    return f"Doubtful: {doubts[0]}" if doubts else None


def _next(document: Row) -> str:
    """Take what is reliably better, else what is cheaper."""
    metric, runs = document["metric"], {run["label"]: run for run in document["runs"]}
    sign = -1 if lower_is_better(metric) else 1
    clear = [
        (sign * test["mean"], each["run"])
        for each in document["differences"]
        for test in each["metrics"][metric]["tests"][:1]
        if each["metrics"][metric]["p_adjusted"] < ALPHA
    ]
    if clear and max(clear)[0] > 0:
        best = max(clear)[1]
        return f"Next: take {printable(best)!r}, which is reliably better than the baseline."
    worse = {label for difference, label in clear if difference < 0}
    costs = [(run["cost"]["total_s"], label) for label, run in runs.items()
             if run["cost"]["total_s"] and label not in worse]  # fmt: skip
    if len(costs) < 2:
        return "Next: keep the baseline; none is reliably better."
    seconds, cheapest = min(costs)
    return (
        "Next: no run is reliably better than the baseline; of those not reliably worse, "
        f"{printable(cheapest)!r} took the least time, {number(seconds, 1)} s."
    )
