"""A comparison of runs as blocks: verdicts, metrics, costs, differences and images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from featx.console import counted
from featx.numbers import NOTHING, bounds, number, p_value
from featx.reporting.blocks import Block, Chapter, Figure, Figures, Paragraph, Points, Table
from featx.reporting.by import compared_by_blocks
from featx.reporting.compared import comparison_verdict
from featx.reporting.ink import Ink
from featx.stats.metrics import HEADLINE, lower_is_better, metric_name

MOST_CLASSES = 20
MOST_TICKS = 6
#: Seconds that an axis of costs may name.
TICKS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200),
    *(86400 * days for days in (1, 2, 5, 10, 20, 50)),
)
MOST_IMAGES = 10
COSTS = {"extract_s": "extraction s", "cached_s": "cached s", "fit_s": "search s",
         "finetune_s": "training s", "score_s": "scoring s", "total_s": "total s"}  # fmt: skip


def comparison_blocks(document: Mapping[str, Any]) -> list[Chapter]:
    """The sections of a comparison, the verdict first.

    Parameters
    ----------
    document : mapping
        Of a `featx.comparing.compare.Comparison`.
    """
    verdict = comparison_verdict(document)
    left = [note for note in document["notes"] if f"Doubtful: {note}" not in verdict]
    notes = [Points(left)] if left else []
    return [
        Chapter("verdict", "Verdict", [Points(verdict, "verdict")]),
        Chapter("metrics", "Metrics", list(_metrics(document))),
        Chapter("by", "By site and other columns", list(compared_by_blocks(document))),
        Chapter("quality", "Quality against cost", list(_plot(document))),
        Chapter("cost", "Cost", list(_costs(document))),
        *_differences(document),
        *_classes(document),
        *_images(document),
        Chapter("notes", "Notes", notes),
    ]


def _shown(document: Mapping[str, Any]) -> list[str]:
    """The metric that counts, then the usual ones that all runs have."""
    return [
        name
        for name in dict.fromkeys((document["metric"], *HEADLINE))
        if all(name in run["metrics"] and run["metrics"][name]["value"] is not None
               for run in document["runs"])
    ]  # fmt: skip


def _metrics(document: Mapping[str, Any]) -> Iterator[Block]:
    runs = document["runs"]
    rows = [[metric_name(n), *(run["metrics"][n] for run in runs)] for n in _shown(document)]
    yield Table(["", *(run["label"] for run in runs)], rows)
    yield Paragraph(f"{document['judged']['interval']}.", "note")


def _plot(document: Mapping[str, Any]) -> Iterator[Block]:
    """Quality against cost, one mark a run; shape and fill say whether it is Pareto-optimal."""
    metric = document["metric"]
    runs = [
        run
        for run in document["runs"]
        if run["cost"]["total_s"] and run["metrics"][metric]["value"] is not None
    ]
    if len(runs) < 2:
        return
    points = [(run["cost"]["total_s"], run["metrics"][metric], run["pareto"]) for run in runs]
    better = "lower" if lower_is_better(metric) else "higher"
    named = "; ".join(
        f"{i} {run['label']}: {metric_name(metric)} {number(row['value'])}, {cost:,.1f} s"
        for i, (run, (cost, row, _)) in enumerate(zip(runs, points, strict=True), start=1)
    )
    words = f"Disc: Pareto-optimal. Square: beaten. Bars: 95 % intervals. {named}."
    rows = [[run["label"], cost, *(row[k] for k in ("value", "low", "high")), front]
            for run, (cost, row, front) in zip(runs, points, strict=True)]  # fmt: skip
    columns = ("run", "total_s", metric, "low", "high", "on_the_front")
    title = f"{metric_name(metric).capitalize()} ({better} is better) by time of compute"
    draw = partial(draw_points, points=points, name=metric_name(metric))
    yield Figures([Figure("quality_cost", title, words, draw, Table(columns, rows))])


def draw_points(axes: Any, ink: Ink, points: list[tuple[float, Any, bool]], name: str) -> None:
    """Numbered marks with their intervals, and the steps along which nothing is better for less."""
    for i, (cost, row, front) in enumerate(points, start=1):
        value = row["value"]
        if row["low"] is not None and row["high"] is not None:
            axes.plot([cost, cost], [row["low"], row["high"]], color=ink.soft, linewidth=1.2)
        axes.plot([cost], [value], "o" if front else "s", color=ink.accent if front else ink.soft,
                  fillstyle="full" if front else "none", markersize=7)  # fmt: skip
        axes.annotate(str(i), (cost, value), (6, 5), textcoords="offset points",
                      fontweight="bold")  # fmt: skip
    best = sorted((cost, row["value"]) for cost, row, front in points if front)
    axes.step(*zip(*best, strict=True), where="post", color=ink.accent, linestyle="--", linewidth=1)
    _cost_axis(axes, [cost for cost, _, _ in points])
    axes.margins(0.12)
    axes.set_xlabel("time of compute")
    axes.set_ylabel(name)


def _cost_axis(axes: Any, costs: list[float]) -> None:
    """Round times that people know, by logarithm; of nearly equal costs by their difference."""
    low, high = min(costs) / 1.03, max(costs) * 1.03
    ticks = [tick for tick in TICKS if low <= tick <= high]
    if len(ticks) < 2:
        axes.xaxis.get_major_locator().set_params(nbins=4)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.6g} s")
        return
    axes.set_xscale("log")
    axes.set_xticks(ticks[:: -(-len(ticks) // MOST_TICKS)])
    axes.xaxis.set_major_formatter(lambda x, _: _time(x))
    axes.minorticks_off()


def _time(seconds: float) -> str:
    """``30 s``, ``5 min``, ``2 h``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.4g} {unit}"
    return f"{seconds:.4g} s"


def _costs(document: Mapping[str, Any]) -> Iterator[Block]:
    shown = [n for n in COSTS if any(run["cost"][n] for run in document["runs"])]
    rows = []
    for run in document["runs"]:
        cost = run["cost"]
        rate, size, total = (cost[k] for k in ("images_per_s", "model_bytes", "total_s"))
        rows.append(
            [
                run["label"],
                run["what"],
                *(NOTHING if cost[n] is None else f"{cost[n]:,.1f}" for n in shown),
                NOTHING if rate is None else f"{rate:,.0f}",
                NOTHING if size is None else size,
                NOTHING if total is None else bool(run["pareto"]),
            ]
        )
    columns = ["run", "what", *(COSTS[n] for n in shown), "images/s", "model bytes",
               "Pareto-optimal"]  # fmt: skip
    yield Table(columns, rows, {0, 1, len(columns) - 1})
    yield Paragraph("Pareto-optimal: no other run is at least as good for less, or better for as "
                    "little.", "note")  # fmt: skip


def _differences(document: Mapping[str, Any]) -> Iterator[Chapter]:
    several = len(document["differences"]) > 1
    baseline = document["runs"][0]["label"]
    for k, each in enumerate(document["differences"], start=1):
        rows, tests = [], {}
        for name in _shown(document):
            found = each["metrics"][name]
            if found["tests"]:
                test = found["tests"][0]
                adjusted = [p_value(found["p_adjusted"])] if several else []
                numbers = [number(test["mean"], signed=True), bounds(test), p_value(test["p"])]
                rows.append([metric_name(name), *numbers, *adjusted])
                tests[metric_name(name)] = test["method"]
        columns = ["", "difference", "95 % interval", "p", *(["p, Holm"] if several else [])]
        note = f"{_tests(tests)} {_outcomes(each['images'])}"
        if document["judged"]["n_folds"] is not None:
            note += " Differences of the t-test are means over folds; the metrics above are of "
            note += "all folds together."
        yield Chapter(f"difference-{k}", f"{each['run']} minus {baseline}",
                      [Table(columns, rows), Paragraph(note, "note")])  # fmt: skip


def _tests(tests: Mapping[str, str]) -> str:
    """Which test each metric has; the commonest goes by ``the others``."""
    by_method: dict[str, list[str]] = {}
    for name, method in tests.items():
        by_method.setdefault(method, []).append(name)
    if len(by_method) < 2:
        return "".join(f"Test: {method}." for method in by_method)
    *few, (most, _) = sorted(by_method.items(), key=lambda m: len(m[1]))
    named = [f"{method} ({', '.join(names)})" for method, names in few]
    return f"Tests: {'; '.join(named)}; {most} (the others)."


def _outcomes(images: Mapping[str, int]) -> str:
    return (
        f"Right: both on {counted(images['both'], 'prediction')}, only this one on "
        f"{images['wins']:,}, only the baseline on {images['losses']:,}, neither on "
        f"{images['neither']:,}."
    )


def _classes(document: Mapping[str, Any]) -> Iterator[Chapter]:
    """Where each run wins and loses, the classes with the most changes first."""
    for k, each in enumerate(document["differences"], start=1):
        found = sorted(each["per_class"].items(), key=lambda c: -c[1]["wins"] - c[1]["losses"])
        rows = [
            [name, *(row[m] for m in ("support", "wins", "losses")),
             number(row["recall"], signed=True)]
            for name, row in found[:MOST_CLASSES]
        ]  # fmt: skip
        title = f"Classes: {each['run']} against {document['runs'][0]['label']}"
        note = "Won: right where the baseline is wrong. No test is made of single classes."
        if len(found) > MOST_CLASSES:
            note += f" {MOST_CLASSES} of {len(found)} classes."
        columns = ["class", "predictions", "won", "lost", "recall difference"]
        yield Chapter(f"classes-{k}", title, [Table(columns, rows), Paragraph(note, "note")])


def _images(document: Mapping[str, Any]) -> Iterator[Chapter]:
    found = document["disagreements"]
    if not found["n"]:
        return
    rows = [[image, fold, true, *predicted, right or "none"]
            for image, _, fold, true, *predicted, right in found["rows"][:MOST_IMAGES]]  # fmt: skip
    columns = ["image", "fold", "true", *(run["label"] for run in document["runs"]), "right"]
    words = frozenset(range(len(columns))) - {1}
    blocks: list[Block] = [Table(columns, rows, words).kept()]
    if found["n"] > len(rows):
        blocks.append(Paragraph("The first of them; --disagreements FILE writes all.", "note"))
    yield Chapter("images", f"Predicted differently: {found['n']:,}", blocks)
