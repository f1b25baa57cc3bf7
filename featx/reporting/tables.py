"""Tables of a run: for people, the same in a page, a card and a terminal; and for CSV files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from featx.console import counted
from featx.files import printable
from featx.numbers import interval, number, p_value
from featx.reporting.blocks import Block, Heading, Paragraph, Table
from featx.reporting.contents import Subject
from featx.reporting.grouped import group_blocks
from featx.stats.metrics import HEADLINE, confusion_matrix, metric_name
from featx.types import Row

READ = " (the number to read)"
ON_AVERAGE = "too high on average"  # of numbers that chose something, which one need not be
KEYS = ("backbone", "tabular", "head", "sampler", "class_weight", "pca", "views")
NAMES = {"class_weight": "class weight", "tabular": "columns"}
MEASURES = ("recall", "precision", "f1", "average_precision")


def is_chosen(row: Row, results: Row) -> bool:
    """Whether a candidate is the one that was chosen."""
    return all(_key(row, k) == _key(results["chosen"], k) for k in KEYS)


def _key(row: Row, key: str) -> Any:
    """A candidate's setting; other columns as text, ``none`` without any."""
    if key == "tabular":
        return ", ".join(map(printable, row.get(key) or ())) or "none"
    return row.get(key)


def setting(value: Any) -> str:
    """A setting as it is shown; of an ensemble's members how many there are."""
    if isinstance(value, list | tuple):
        return str(len(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def candidate_blocks(results: Row) -> Iterator[Block]:
    """The best of each kind of classifier, the best first, and how each differs from the chosen."""
    rows = results.get("candidates", [])
    if not rows:
        return
    ranked = sorted(rows, key=lambda r: (r["cv_mean"] is None, -(r["cv_mean"] or 0)))
    varied = [k for k in KEYS if k == "head" or len({str(_key(r, k)) for r in rows}) > 1]
    columns = [*(NAMES.get(k, k) for k in varied), metric_name(results["scoring"]), "sd",
               "minus chosen", "p", "minus no sampler", "minus no views",
               *["minus no columns"] * ("tabular" in varied), "best setting", "s"]  # fmt: skip
    cells = [_candidate(row, varied, is_chosen(row, results)) for row in ranked]
    yield Table(columns, cells, range(len(varied))).kept()
    method = results["comparison"]["folds"]
    fixed = {k: _key(rows[0], k) for k in KEYS if k not in varied}
    same = [f"{k} {value}" for k, value in fixed.items() if value not in ("none", 0)]
    yield Paragraph(
        (f"All with {', '.join(same)}. " if same else "")
        + "The best of each kind, on the folds that selected among them: use this to rank them, "
        f"not as an estimate. Differences with 95 % intervals: {method['method']}; p-values "
        "adjusted for all pairs (Holm).",
        "note",
    )
    tested = [r for r in ranked if r.get("against_chosen_tested")]
    if tested:
        yield Heading("The same differences on the test images")
        yield Table(
            ("candidate", "minus chosen", "p"),
            [
                [" ".join(str(_key(r, k)) for k in varied), *_against(r["against_chosen_tested"])]
                for r in tested
            ],
        )


def _candidate(row: Row, varied: Sequence[str], chosen: bool) -> list[Any]:
    first, *others = (str(_key(row, k)) for k in varied)
    return [
        f"{'→' if chosen else ' '} {first}",
        *others,
        row["status"] if row["cv_mean"] is None else row["cv_mean"],
        "" if row["cv_std"] is None else row["cv_std"],
        *(("chosen", "") if chosen else _against(row["against_chosen"])),
        _against(row["against_none"])[0],
        _against(row.get("against_no_views"))[0],
        *([_against(row.get("against_no_columns"))[0]] if "tabular" in varied else []),
        ", ".join(f"{k}={setting(v)}" for k, v in row["params"].items()),
        f"{row['elapsed_s']:.1f}",
    ]


def _against(row: Row | None) -> tuple[str, str]:
    """A difference with its interval, and its p-value."""
    if row is None:
        return "", ""
    return interval(row, signed=True), p_value(row.get("p_adjusted", row["p"]))


def headline(estimate: Row, read: str = "") -> dict[str, Row]:
    """The metrics that are shown, where they are defined, with the one to read among them."""
    metrics = estimate["metrics"]
    names = HEADLINE if read in HEADLINE else (read, *HEADLINE)
    shown = [n for n in names if n in metrics and metrics[n]["value"] is not None]
    return {name: metrics[name] for name in shown}


def estimate_table(
    estimate: Row, others: Mapping[str, Row], read: str = "", *, marked: bool = True
) -> Table:
    """The headline metrics with their intervals, beside those of other estimates.

    ``read`` is the one to read, and ``marked`` as such.
    """
    named = {n.replace("_", " "): headline(one, read) for n, one in others.items()}
    rows = [
        [
            metric_name(name) + READ * (marked and name == read),
            row,
            *(one.get(name, "") for one in named.values()),
        ]
        for name, row in headline(estimate, read).items()
    ]
    return Table(["", "estimate [95 % interval]", *named], rows)


def estimate_blocks(results: Row) -> Iterator[Block]:
    """The estimate, what it rests on, its calibration, and the same by group."""
    estimate, others = results["estimate"], results["estimates"]
    yield estimate_table(estimate, others, headline_metric(results), marked=not in_force(results))
    yield Paragraph(f"Estimate: {estimate['description']}. {_images(estimate)}.", "note")
    for name, one in others.items():
        described = f"{name.replace('_', ' ')}: {_described(results, one)}"
        yield Paragraph(f"{described}. {_images(one)}.", "note")
    yield Paragraph(calibration_sentence(estimate["calibration"]), "note")
    if "repeats" in estimate:
        values = estimate["repeats"]["accuracy"]
        yield Paragraph(
            f"Accuracy on each of {len(values)} partitions: {min(values):.3f} to "
            f"{max(values):.3f}.",
            "note",
        )
    if by_group := estimate.get("by_group"):
        yield from group_blocks(by_group, headline(by_group))


def _described(results: Row, other: Row) -> str:
    """How an estimate beside the one to report was made; optimistic only where it is higher."""
    described, _, consequence = str(other["description"]).rpartition(", ")
    if not consequence.endswith(ON_AVERAGE):
        return str(other["description"])
    metric = results["scoring"].removeprefix("neg_")
    both = [one["metrics"].get(metric, {}).get("value") for one in (other, results["estimate"])]
    if None in both:
        return described
    above = (both[0] - both[1]) * (-1 if metric == "log_loss" else 1)
    if round(above, 3) <= 0:
        return described
    return f"{described}; optimistic: better by {number(above)} than the estimate"


def headline_metric(results: Row) -> str:
    """The metric to read: what the search maximised where it is defined, else accuracy."""
    name = str(results["scoring"]).removeprefix("neg_")
    row = results["estimate"]["metrics"].get(name)
    return name if row is not None and row["value"] is not None else "accuracy"


def in_force(results: Row) -> Row | None:
    """The threshold that decides, where one does: the recall of its class is the number to read."""
    decision = (results.get("trust") or {}).get("decision") or (
        (results.get("operating") or {}).get("in_force")
    )
    return decision if decision and decision.get("recall") else None


def calibration_sentence(calibration: Row) -> str:
    """The calibration error beside that of perfectly calibrated probabilities."""
    return (
        f"Calibration error {calibration['ece']:.3f} ({calibration['bins']}). A perfectly "
        f"calibrated model would show about {calibration['if_right_mean']:.3f}, rarely above "
        f"{calibration['if_right_high']:.3f}."
    )


def _images(estimate: Row) -> str:
    return f"{counted(estimate['n_images'], 'image')}; {estimate['interval']}"


def hardest_first(per_class: Mapping[str, Row]) -> list[tuple[str, Row]]:
    """Classes by their F1, those for which it is not defined first."""
    return sorted(per_class.items(), key=lambda item: item[1]["f1"]["value"] or 0.0)


def class_table(
    rows: Sequence[tuple[str, Row]],
    measures: Sequence[str] = MEASURES,
    trained: Mapping[str, int] | None = None,
) -> Table:
    """What is known of each class, with the images that it was ``trained`` on where they are given.

    Parameters
    ----------
    rows : sequence of (str, mapping)
        Of ``per_class``, in the order of the table.
    measures : sequence of str
    trained : mapping of str to int, optional
    """
    heads = ["class", "images"] if trained is None else ["class", "trained on", "tested on"]
    lines = [
        [label, *([] if trained is None else [trained.get(label, 0)]), row["support"]]
        + [row[m] for m in measures]
        for label, row in rows
    ]
    return Table([*heads, *map(metric_name, measures)], lines)


def candidates(results: Row) -> Table:
    """Every candidate with its score on the folds and its difference to the chosen one."""
    columns = (*KEYS, "chosen", "status", "mean", "sd", "against_chosen", "low", "high",
               "p_adjusted", "against_none", "elapsed_s")  # fmt: skip
    rows = []
    for row in results.get("candidates", []):
        against, none = row["against_chosen"] or {}, row["against_none"] or {}
        rows.append(
            [
                *(str(_key(row, k)) for k in KEYS),
                is_chosen(row, results),
                *(row[k] for k in ("status", "cv_mean", "cv_std")),
                *(against.get(k) for k in ("mean", "low", "high", "p_adjusted")),
                none.get("mean"),
                row["elapsed_s"],
            ]
        )
    return Table(columns, rows)


def estimates(results: Row) -> Table:
    """The metrics of the estimate, and of those beside it."""
    rows = [
        [name, metric, *(value[k] for k in ("value", "low", "high"))]
        for name, one in {"estimate": results["estimate"], **results["estimates"]}.items()
        for metric, value in one["metrics"].items()
    ]
    return Table(("estimate", "metric", "value", "low", "high"), rows)


def confused_pairs(subject: Subject) -> Table:
    """Which class was predicted for which, the most frequent mistake first."""
    classes = subject.classes
    counts = confusion_matrix(subject.y, subject.y_pred, len(classes))
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[: int((counts > 0).sum())]
    pairs = [divmod(int(k), len(classes)) for k in order]
    rows = [
        [classes[i], classes[j], int(counts[i, j]), float(counts[i, j] / totals[i])]
        for i, j in pairs
    ]
    return Table(("true", "predicted", "images", "share_of_true"), rows)


def class_rows(results: Row) -> Table:
    """What is known of each class."""
    measures = ("recall", "precision", "f1", "roc_auc", "average_precision")
    ends = {"": "value", "_low": "low", "_high": "high"}
    counts = results["dataset"]["classes"]
    rows = [
        [label, counts.get(label), row["support"], *(row[m][k] for m in measures
                                                     for k in ends.values())]
        for label, row in results["estimate"]["per_class"].items()
    ]  # fmt: skip
    return Table(["class", "images", "judged", *(m + end for m in measures for end in ends)], rows)
