"""Several runs against a baseline: one document that every way of showing it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.comparing.cost import describe_costs, pareto_front
from featx.comparing.differences import Measured, adjust, describe_difference, measure
from featx.comparing.pairing import Paired, pair_runs
from featx.comparing.values import compare_values
from featx.comparing.verdict import describe_run, verdict
from featx.errors import UnknownNameError, UsageError
from featx.files import printable
from featx.runs import LEVELS, Run, load_run
from featx.stats.intervals import describe_predictions
from featx.stats.metrics import lower_is_better

SCHEMA_VERSION = 1
MOST_SHOWN = 100  # disagreements in the document; the table of all is a file of its own


@dataclass(frozen=True)
class Comparison:
    """Runs set beside each other.

    Attributes
    ----------
    document : dict
        Everything that is shown, as JSON: ``schema_version``; ``metric``, what verdicts are of;
        ``judged`` (``level``, ``description``, ``n_images``, ``n_units``, ``unit``, ``n_folds``,
        ``n_repeats``, ``interval``); ``runs``, the baseline first (``label``, ``folder``,
        ``what``, ``metrics`` and ``per_class`` as in ``results.json``, ``cost`` as in
        `featx.comparing.cost.describe_costs`, ``pareto``); ``differences``, one for each other
        run (``run``, what `featx.comparing.differences.describe_difference` has, ``verdict``);
        ``by``, where it was asked for (`featx.comparing.values`);
        ``disagreements`` (``n``, and the first as ``rows`` under ``columns``); ``notes``.
    """

    document: dict[str, Any]
    _paired: Paired
    _labels: list[str]

    def __repr__(self) -> str:
        n, metric = len(self.document["runs"]), self.document["metric"]
        more = ["..."] if len(self.verdicts) > 2 else []
        return "\n".join([f"Comparison of {n} runs by {metric}", *self.verdicts[:2], *more])

    @property
    def verdicts(self) -> list[str]:
        """One sentence for each run but the baseline."""
        return [each["verdict"] for each in self.document["differences"]]

    @property
    def columns(self) -> list[str]:
        """Of the images on which runs disagree."""
        return ["id", "split", "fold", "y_true", *(f"y_{x}" for x in self._labels), "right"]

    def disagreements(self) -> Iterator[list[Any]]:
        """The images that not all runs predict alike, and who is right.

        ``right`` holds the labels of the runs that are, joined by `` | ``; it is empty where
        none is.
        """
        first = self._paired.first
        y_pred = np.stack([part.y_pred for part in self._paired.predictions], axis=1)
        classes = self._paired.classes
        for i in np.flatnonzero((y_pred != y_pred[:, :1]).any(axis=1)):
            who = [x for x, c in zip(self._labels, y_pred[i], strict=True) if c == first.y[i]]
            yield [
                first.ids[i],
                _split_name(self._paired, int(first.repeat[i])),
                int(first.fold[i]) if first.fold[i] >= 0 else None,
                classes[first.y[i]],
                *(classes[c] for c in y_pred[i]),
                " | ".join(who),
            ]


@console.stage("Comparing the runs")
def compare_runs(
    folders: Sequence[str | Path],
    *,
    metric: str | None = None,
    by: Sequence[str] = (),
    seed: int = 0,
) -> Comparison:
    """Compare runs with the first of them.

    Parameters
    ----------
    folders : sequence of path
        Runs, the baseline first.
    metric : str, optional
        What verdicts and the front of quality against cost are of. By default what the search of
        the baseline maximised.
    by : sequence of str
        Columns of which every value is shown.
    seed : int, default 0
        Of the resamples.

    Raises
    ------
    UsageError
        Fewer than two runs, one named twice, a folder that is none, or an unknown metric.
    RunError
        What is in a run cannot be read.
    ComparisonError
        The runs cannot be compared; see `featx.comparing.pairing.pair_runs`.
    """
    if len(folders) < 2:
        raise UsageError(
            f"A comparison needs two runs; got {len(folders)}.",
            hint="Name two or more: featx compare RUN RUN",
        )
    runs = _read_runs(folders)
    paired = pair_runs(runs)
    measured = [measure(paired, part, seed=seed) for part in paired.predictions]
    metric = _metric(metric, runs[0], measured[0])
    described = [_describe_run(r, paired, m, seed) for r, m in zip(runs, measured, strict=True)]
    costs, cost_notes = describe_costs(runs)
    for each, cost in zip(described, costs, strict=True):
        each["cost"] = cost
    _mark_front(described, metric)
    differences = [describe_difference(paired, m, measured[0]) for m in measured[1:]]
    adjust(differences)
    document = {
        "schema_version": SCHEMA_VERSION,
        "metric": metric,
        "judged": _describe_judged(paired, described[0]),
        "runs": [{k: v for k, v in each.items() if k != "interval"} for each in described],
        "differences": _with_verdicts(described, differences, metric),
        "notes": paired.notes + cost_notes,
        "notes_on_cost": cost_notes,
    }
    document |= compare_values(runs, paired, by, metric=metric, seed=seed)
    comparison = Comparison(document, paired, [printable(run.name) for run in runs])
    document["disagreements"] = _first_disagreements(comparison)
    return comparison


def _first_disagreements(comparison: Comparison) -> dict[str, Any]:
    rows = list(comparison.disagreements())
    return {"n": len(rows), "columns": comparison.columns, "rows": rows[:MOST_SHOWN]}


def _with_verdicts(
    described: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]], metric: str
) -> list[dict[str, Any]]:
    """Each difference to the baseline, the first described, with its sentence."""
    baseline, *others = described
    n = len(differences)
    return [
        {
            "run": each["label"],
            **difference,
            "verdict": verdict(each, baseline, difference, metric, n_compared=n),
        }
        for each, difference in zip(others, differences, strict=True)
    ]


def _read_runs(folders: Sequence[str | Path]) -> list[Run]:
    """All runs, each with a name of its own: the whole path where two share one."""
    places = [Path(folder).resolve() for folder in folders]
    for i, folder in enumerate(folders):
        if places[i] in places[:i]:
            raise UsageError(f"The run {printable(str(folder))!r} is named twice.")
    runs = [load_run(folder) for folder in folders]
    names = [run.name for run in runs]
    for run in runs:
        if names.count(run.name) > 1:
            run.name = str(run.folder)
    return runs


def _metric(asked: str | None, baseline: Run, measured: Measured) -> str:
    known = measured.resampled.values
    if asked is None:
        scoring = baseline.results.scoring.removeprefix("neg_")
        return scoring if scoring in known else "balanced_accuracy"
    if asked not in known:
        raise UnknownNameError("metric", asked, known)
    return asked


def _describe_run(run: Run, paired: Paired, measured: Measured, seed: int) -> dict[str, Any]:
    predictions = measured.predictions
    numbers = describe_predictions(
        predictions.y,
        predictions.proba,
        paired.classes,
        paired.units,
        unit=paired.unit,
        seed=seed,
        repeats=paired.n_repeats,
        y_pred=predictions.y_pred,
        n_folds=paired.n_folds,
        resampled=measured.resampled,
    )
    return {
        "label": run.name,
        "folder": str(run.folder),
        "what": describe_run(run),
        "tried": run.tried,
        "searched": run.searched,
        "metrics": numbers["metrics"],
        "per_class": numbers["per_class"],
        "interval": numbers["interval"],
    }


def _mark_front(described: Sequence[dict[str, Any]], metric: str) -> None:
    sign = -1 if lower_is_better(metric) else 1
    values = [each["metrics"][metric]["value"] for each in described]
    qualities = [None if value is None else sign * value for value in values]
    front = pareto_front(qualities, [each["cost"]["total_s"] for each in described])
    for each, unbeaten in zip(described, front, strict=True):
        each["pareto"] = unbeaten


def _describe_judged(paired: Paired, baseline: dict[str, Any]) -> dict[str, Any]:
    return {
        "level": paired.level,
        "description": LEVELS[paired.level],
        "n_images": paired.n_images,
        "n_units": paired.n_units,
        "unit": paired.unit,
        "n_folds": paired.n_folds,
        "n_repeats": paired.n_repeats,
        "interval": baseline["interval"],
    }


def _split_name(paired: Paired, repeat: int) -> str:
    """As in ``predictions.csv``, but the folds that chose nothing go by one name."""
    return f"repeated-{repeat + 1}" if paired.level == "repeated" else paired.level
