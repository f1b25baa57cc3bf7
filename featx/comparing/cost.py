"""What each run cost, and which runs no other one beats at both quality and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featx.comparing.record import JudgedRun

__all__ = ["describe_cost", "lower_is_better", "pareto_front"]

STAGES = ("extract_s", "fit_s", "finetune_s")
LOWER = frozenset({"log_loss", "brier"})
JOINT = " + "  # between the backbones whose embeddings lie side by side


def lower_is_better(metric: str) -> bool:
    """Whether less of the metric is better."""
    return metric in LOWER


def describe_cost(run: JudgedRun) -> dict[str, Any]:
    """Times and sizes of a run, as JSON; None where the run does not say.

    Returns
    -------
    dict
        ``extract_s``, ``fit_s`` (the search), ``finetune_s`` (training of the backbone),
        ``score_s`` (of the judged images), ``total_s`` (extraction, search and training),
        ``cached`` (images whose embeddings came from the cache, so that ``extract_s`` leaves
        their price out), ``images_per_s`` of the extraction that was computed, ``model_bytes``
        (the run's ``model`` folder; a frozen backbone's weights are not in it).
    """
    cost = _mapping(run.results.get("cost"))
    times = {name: _number(cost.get(name)) for name in (*STAGES, "score_s")}
    known = [times[name] for name in STAGES if times[name] is not None]
    reports = _reports(run)
    return {
        **times,
        "total_s": sum(t for t in known if t is not None) if known else None,
        "cached": max((int(_number(r.get("cached")) or 0) for r in reports), default=None),
        "images_per_s": _rate(reports),
        "model_bytes": _size(run.folder / "model"),
    }


def _reports(run: JudgedRun) -> list[Mapping[str, Any]]:
    """Reports of the extractions that the chosen classifier rests on."""
    extractions = _mapping(run.results.get("extraction"))
    names = str(run.chosen.get("backbone", "")).split(JOINT)
    chosen = [extractions[name] for name in names if name in extractions]
    return [_mapping(_mapping(each).get("report")) for each in chosen]


def _rate(reports: Sequence[Mapping[str, Any]]) -> float | None:
    """Images through all backbones in a second; None where one computed nothing."""
    seconds = 0.0
    for report in reports:
        computed, elapsed_s = _number(report.get("computed")), _number(report.get("elapsed_s"))
        if not computed or not elapsed_s:
            return None
        seconds += elapsed_s / computed
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


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    """A finite number from 0; what a damaged file says instead is not known."""
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return value if usable and 0 <= value < float("inf") else None
