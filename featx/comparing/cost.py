"""What each run cost, and which runs no other one beats at both quality and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featx.runs import Run
from featx.types import ExtractionReport

STAGES = ("extract_s", "fit_s", "finetune_s")
JOINT = " + "  # between the backbones whose embeddings lie side by side


def describe_costs(runs: Sequence[Run]) -> tuple[list[dict[str, Any]], list[str]]:
    """Times and sizes of runs, as JSON, on one footing; and what had to be done for it.

    Embeddings from the cache cost nothing, so a run that found them there would look cheaper than
    the one that computed them. They are priced at what computing them took in another of the runs;
    where none tells, no run's extraction is counted.

    Returns
    -------
    costs : list of dict
        ``extract_s``, ``fit_s`` (the search), ``finetune_s`` (training of the backbone),
        ``score_s`` (of the judged images), each as the run says, or None; ``cached`` (images whose
        embeddings came from the cache), ``cached_s`` (what they would have cost, None where not
        known), ``total_s`` (search, training and, ``with_extraction``, that with ``cached_s``),
        ``images_per_s`` of the extraction that was computed, ``model_bytes`` (the run's ``model``
        folder; a frozen backbone's weights are not in it).
    notes : list of str
    """
    seconds = _seconds_an_image(runs)
    costs = [_describe(run, seconds) for run in runs]
    known = all(cost["cached_s"] is not None for cost in costs)
    for cost in costs:
        stages = STAGES if known else STAGES[1:]
        known_s = [cost[name] for name in stages if cost[name] is not None]
        cost["total_s"] = sum(known_s) + (cost["cached_s"] if known else 0) if known_s else None
        cost["with_extraction"] = known
    return costs, _notes(runs, costs, known)


def _describe(run: Run, seconds: Mapping[str, float]) -> dict[str, Any]:
    cost = run.results.cost
    cached = {name: report.cached for name, report in _passes(run).items()}
    priced = all(name in seconds for name, n in cached.items() if n)
    chosen = run.results.chosen.backbone.split(JOINT)
    return {
        **{name: getattr(cost, name) for name in (*STAGES, "score_s")},
        "cached": sum(cached.values()),
        "cached_s": sum(n * seconds[name] for name, n in cached.items() if n) if priced else None,
        "images_per_s": _rate(run, chosen),
        "model_bytes": _size(run.folder / "model"),
    }


def _notes(runs: Sequence[Run], costs: Sequence[Mapping[str, Any]], known: bool) -> list[str]:
    cached = [(run, cost["cached"]) for run, cost in zip(runs, costs, strict=True)]
    counts = ", ".join(f"{run.named} {n:,}" for run, n in cached if n)
    if not counts:
        return []
    if known:
        return [
            "Embeddings that came from the cache are priced at what they cost in another of the "
            f"runs: {counts}."
        ]
    return [
        f"Embeddings came from the cache, and what they cost is not known: {counts}. Totals are of "
        "search and training alone, for all runs."
    ]


def _passes(run: Run) -> dict[str, ExtractionReport]:
    """Reports of a run's extractions by fingerprint; outputs of one pass share a report."""
    passes: dict[str, ExtractionReport] = {}
    for each in run.results.extraction.values():
        if each.report not in passes.values():
            passes[each.fingerprint] = each.report
    return passes


def _seconds_an_image(runs: Sequence[Run]) -> dict[str, float]:
    """What one image costs by fingerprint, from the run that computed most of them."""
    most: dict[str, ExtractionReport] = {}
    for run in runs:
        for name, report in _passes(run).items():
            known = most.get(name)
            if report.elapsed_s and report.computed > (known.computed if known else 0):
                most[name] = report
    return {name: report.elapsed_s / report.computed for name, report in most.items()}


def _rate(run: Run, names: Sequence[str]) -> float | None:
    """Images through all backbones in a second; None where one computed nothing."""
    seconds = 0.0
    for name in names:
        extracted = run.results.extraction.get(name)
        if extracted is None or not extracted.report.computed or not extracted.report.elapsed_s:
            return None
        seconds += extracted.report.elapsed_s / extracted.report.computed
    return 1 / seconds if seconds else None


def _size(folder: Path) -> int | None:
    if not folder.is_dir():
        return None
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def pareto_front(qualities: Sequence[float | None], costs: Sequence[float | None]) -> list[bool]:
    """Which are not beaten: no other one is as good for less, or better for as little.

    Parameters
    ----------
    qualities : sequence of float or None
        Greater is better.
    costs : sequence of float or None

    Returns
    -------
    list of bool
        False where one of the two is not known.
    """
    points = list(zip(qualities, costs, strict=True))
    known = [(q, c) for q, c in points if q is not None and c is not None]

    def beaten(quality: float, cost: float) -> bool:
        no_worse = {(q, c) for q, c in known if q >= quality and c <= cost}
        return bool(no_worse - {(quality, cost)})

    return [q is not None and c is not None and not beaten(q, c) for q, c in points]
