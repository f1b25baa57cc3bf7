"""What of a finished run a tracking server is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featx.files import printable
from featx.runs.estimates import Estimate
from featx.runs.finished import Run
from featx.runs.tuning import Epoch

LONGEST_KEY, LONGEST_VALUE, LONGEST_TAG = 250, 6000, 5000  # of MLflow's database
CURVES = ("train_loss", "train_accuracy", "validation_loss", "validation_score", "learning_rate")


@dataclass(frozen=True)
class TrackedCurve:
    """One value of a metric that has several."""

    key: str
    value: float
    step: int


@dataclass(frozen=True)
class Tracked:
    """A run as trackers keep one: parameters and tags as text, metrics as numbers."""

    parameters: dict[str, str]
    metrics: dict[str, float]
    curves: list[TrackedCurve]
    tags: dict[str, str]


def describe_run(run: Run) -> Tracked:
    """What of a run is logged.

    Parameters are the settings by their dotted keys. Metrics are those of the estimate, each with
    the ends of its 95 % interval (``accuracy``, ``accuracy_low``, ``accuracy_high``), those of
    estimates beside it after their name and a slash, and seconds. Curves have one step an epoch;
    those of the training that made the model have no name before the slash.
    """
    results = run.results
    metrics = dict(_estimate(results.estimate, ""))
    for name, estimate in results.estimates.items():
        metrics |= _estimate(estimate, f"{name}/")
    metrics |= {key: float(value) for key, value in results.cost.items()}
    settings = run.config.model_dump(mode="json", include={"data", "extract", run.section})
    return Tracked(
        parameters=dict(_flat(settings)),
        metrics={_key(key): value for key, value in metrics.items()},
        curves=list(_curves(run.epochs)),
        tags=_tags(run),
    )


def _tags(run: Run) -> dict[str, str]:
    results, document = run.results, run.model_document
    backbones = [str(e["document"]["backbone"]) for e in document["extractors"]]
    tags = {
        "featx.command": run.section,
        "featx.run": printable(str(run.folder.absolute())),
        "featx.version": document["versions"]["featx"],
        "featx.backbone": printable(" + ".join(backbones)),
        "featx.head": printable(results.chosen.head),
        "featx.estimate": results.estimate.method,
        "featx.dataset": printable(results.dataset.source),
        "featx.dataset_sha256": str(results.dataset.sha256),
        "featx.model_sha256": document["sha256"],
    }
    return {name: text[:LONGEST_TAG] for name, text in tags.items()}


def _estimate(estimate: Estimate, before: str) -> Iterator[tuple[str, float]]:
    for name, row in estimate.metrics.items():
        for end, key in (("value", name), ("low", f"{name}_low"), ("high", f"{name}_high")):
            if row[end] is not None:
                yield before + key, float(row[end])


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{key}.")
            continue
        if isinstance(value, list) and all(isinstance(v, str | int | float) for v in value):
            value = ", ".join(map(str, value))
        text = value if isinstance(value, str) else json.dumps(value)
        yield _key(before + key), printable(text)[:LONGEST_VALUE]


def _key(name: str) -> str:
    """A key of letters that MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)[:LONGEST_KEY]


def _curves(epochs: Sequence[Epoch]) -> Iterator[TrackedCurve]:
    for epoch in epochs:
        before = "" if epoch.training == epochs[-1].training else f"{epoch.training}/"
        for column in CURVES:
            if (value := epoch.get(column)) is not None:
                yield TrackedCurve(_key(before + column), value, epoch.epoch)
