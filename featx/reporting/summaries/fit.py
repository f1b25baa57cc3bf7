"""A finished run as tables for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featx import console
from featx.config import ExtractConfig, score_command
from featx.files import printable
from featx.reporting.summaries.curve import print_curve
from featx.reporting.summaries.trust import trust_sentences
from featx.runs import Run
from featx.stats.metrics import HEADLINE

__all__ = ["print_classes", "print_estimate", "print_run"]

MOST_CLASSES = 20


def print_run(run: Run, extract: ExtractConfig) -> None:
    """Print candidates, the estimate with its intervals, the classes, and what to do next."""
    results = run.results
    _print_candidates(results)
    estimates = {"": results["estimate"], **results["estimates"]}
    for name, estimate in estimates.items():
        print_estimate(name, estimate)
    console.out("")
    for sentence in trust_sentences(results["trust"]):
        console.out(sentence)
    print_classes(results["estimate"]["per_class"])
    if results["learning_curve"] is not None:
        print_curve(results["learning_curve"])
    console.log(f"\nNext: {score_command(str(run.folder), extract)}")


def _print_candidates(results: Mapping[str, Any]) -> None:
    rows = []
    chosen, viewed = results["chosen"], results["n_views"] > 0
    projected = any(candidate["pca"] != "none" for candidate in results["candidates"])
    for candidate in results["candidates"]:
        is_chosen = all(
            candidate[k] == chosen[k]
            for k in ("backbone", "head", "sampler", "class_weight", "views", "pca")
        )
        rows.append(
            (
                "→" if is_chosen else "",
                candidate["backbone"],
                candidate["head"],
                candidate["sampler"],
                candidate["class_weight"],
                *([candidate["views"]] if viewed else []),
                *([_short(candidate["pca"])] if projected else []),
                candidate["cv_mean"],
                candidate["cv_std"],
                _difference(candidate["against_none"]),
                *([_difference(candidate["against_no_views"])] if viewed else []),
                _difference(candidate["against_chosen"], "p_adjusted"),
                _params(candidate) if candidate["status"] == "ok" else candidate["status"],
                f"{candidate['elapsed_s']:.1f}",
            )
        )
    columns = (
        "",
        "backbone",
        "head",
        "sampler",
        "class weight",
        *(["views"] if viewed else []),
        *(["pca"] if projected else []),
        "mean",
        "sd",
        "vs none",
        *(["vs no views"] if viewed else []),
        "vs chosen",
        "best",
        "s",
    )
    console.table(f"Search: {results['scoring']}, cross-validated", columns, rows)
    if (comparison := results["comparison"]["folds"])["n_comparisons"]:
        console.out(
            f"vs chosen: {comparison['method']}; p-values adjusted for "
            f"{console.counted(comparison['n_comparisons'], 'comparison')} (Holm)"
        )


def _difference(against: Mapping[str, float] | None, p: str = "p") -> str:
    """A difference to another row with its p-value."""
    return "" if against is None else f"{round(against['mean'], 3) + 0.0:+.3f} (p {against[p]:.2f})"


def _params(candidate: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={_short(v)}" for k, v in candidate["params"].items())


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):  # an ensemble's members; results.json names them
        return str(len(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def print_estimate(name: str, estimate: Mapping[str, Any]) -> None:
    """The metrics of an estimate; with a name, as one for comparison."""
    title = f"\nEstimate: {estimate['description']}"
    if name:
        title = f"\nFor comparison: {estimate['description']}"
    _print_metrics(title, estimate)
    calibration = estimate["calibration"]
    console.out(
        f"{console.counted(estimate['n_images'], 'image')}; {estimate['interval']}\n"
        f"Calibration error {calibration['ece']:.3f} ({calibration['bins']}). A perfectly "
        f"calibrated model would show about {calibration['if_right_mean']:.3f}, rarely above "
        f"{calibration['if_right_high']:.3f}."
    )
    if "repeats" in estimate:
        values = estimate["repeats"]["accuracy"]
        console.out(
            f"Accuracy on each of {len(values)} partitions: {min(values):.3f} to {max(values):.3f}"
        )
    by_group = estimate.get("by_group")
    if by_group:
        _print_metrics("\nThe same by group: mean probability of each group's images", by_group)
        n_groups = console.counted(by_group["n_predicted_groups"], "group")
        console.out(f"{n_groups}; {by_group['interval']}")


def _print_metrics(title: str, numbers: Mapping[str, Any]) -> None:
    """The headline metrics that are defined, with their intervals."""
    metrics = numbers["metrics"]
    rows = [
        (
            name,
            metrics[name]["value"],
            f"[{_bound(metrics[name]['low'])}, {_bound(metrics[name]['high'])}]",
        )
        for name in HEADLINE
        if name in metrics and metrics[name]["value"] is not None
    ]
    console.table(title, ("metric", "value", "95 % interval"), rows)


def _bound(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def print_classes(per_class: Mapping[str, Mapping[str, Any]]) -> None:
    """Recall, precision and F1 of each class, the hardest first where there are many."""
    rows = [
        (
            printable(label),
            row["support"],
            *(row[k]["value"] for k in ("recall", "precision", "f1")),
        )
        for label, row in per_class.items()
    ]
    title = "\nClasses"
    if len(rows) > MOST_CLASSES:
        rows.sort(key=lambda row: (row[4] is not None, row[4] or 0.0))
        title += f" ({MOST_CLASSES} hardest of {len(rows)}; all are in results.json)"
    console.table(title, ("class", "images", "recall", "precision", "f1"), rows[:MOST_CLASSES])
