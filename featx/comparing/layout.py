"""What a comparison shows, in which order, before any format: sentences, tables and one plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featx.comparing.cost import lower_is_better
from featx.console import counted
from featx.files import printable
from featx.stats.metrics import HEADLINE, metric_name

__all__ = ["Block", "Plot", "Point", "Sentences", "Table", "lay_out"]

MOST_CLASSES = 20
MOST_IMAGES = 10
NOTHING = "–"


@dataclass(frozen=True)
class Sentences:
    """A few sentences under a title."""

    title: str
    sentences: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Cells of text; ``words`` are the columns that are not numbers. ``note`` stands below."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[int] = frozenset({0})
    note: str = ""


@dataclass(frozen=True)
class Point:
    """One run in the plot; ``low`` and ``high`` are None where there is no interval."""

    label: str
    cost_s: float
    value: float
    low: float | None
    high: float | None
    front: bool


@dataclass(frozen=True)
class Plot:
    """Quality against cost."""

    title: str
    metric: str
    lower_is_better: bool
    points: Sequence[Point]


Block = Sentences | Table | Plot


def lay_out(document: Mapping[str, Any]) -> list[Block]:
    """The blocks of a comparison; names of files, runs and classes are made printable.

    Parameters
    ----------
    document : mapping
        Of a `featx.comparing.Comparison`.
    """
    blocks: list[Block] = [
        Sentences("Verdict", [each["verdict"] for each in document["differences"]]),
        Sentences("Judged on", [_judged(document["judged"])]),
        _metrics(document),
        *_plot(document),
        _costs(document),
        *_differences(document),
        *_classes(document),
        *_images(document),
    ]
    if document["notes"]:
        blocks.append(Sentences("Notes", document["notes"]))
    return blocks


def _judged(judged: Mapping[str, Any]) -> str:
    text = f"{counted(judged['n_images'], 'image')}: {judged['description']}"
    if judged["n_repeats"] > 1:
        text += f", {counted(judged['n_repeats'], 'partition')}"
    if judged["n_folds"] is not None:
        text += f", {counted(judged['n_folds'], 'fold')}"
    return text + "."


def _shown(document: Mapping[str, Any]) -> Iterator[str]:
    """The metric that counts, then the usual ones that all runs have."""
    for name in dict.fromkeys((document["metric"], *HEADLINE)):
        if all(
            run["metrics"].get(name, {"value": None})["value"] is not None
            for run in document["runs"]
        ):
            yield name


def _metrics(document: Mapping[str, Any]) -> Table:
    rows = [
        [metric_name(name), *(_with_interval(run["metrics"][name]) for run in document["runs"])]
        for name in _shown(document)
    ]
    labels = [printable(run["label"]) for run in document["runs"]]
    return Table("Metrics", ["", *labels], rows, note=document["judged"]["interval"] + ".")


def _differences(document: Mapping[str, Any]) -> Iterator[Table]:
    several = len(document["differences"]) > 1
    baseline = printable(document["runs"][0]["label"])
    for each in document["differences"]:
        rows, tests = [], {}
        for name in _shown(document):
            found = each["metrics"][name]
            if found["tests"]:
                test = found["tests"][0]
                interval = f"[{_signed(test['low'])}, {_signed(test['high'])}]"
                adjusted = [_chance(found["p_adjusted"])] if several else []
                numbers = [_signed(test["mean"]), interval, _chance(test["p"]), *adjusted]
                rows.append([metric_name(name), *numbers])
                tests[metric_name(name)] = test["method"]
        yield Table(
            f"{printable(each['run'])} less {baseline}",
            ["", "difference", "95 % interval", "p", *(["p, Holm"] if several else [])],
            rows,
            note=f"{_tests(tests)} {_outcomes(each['images'])}{_means(document)}",
        )


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
        f"{images['wins']:,}, only "
        f"the baseline on {images['losses']:,}, neither on {images['neither']:,}."
    )


def _means(document: Mapping[str, Any]) -> str:
    if document["judged"]["n_folds"] is None:
        return ""
    return (
        " Differences of the t-test are means over folds; the metrics above are of all folds "
        "together."
    )


def _costs(document: Mapping[str, Any]) -> Table:
    names = ("extract_s", "cached_s", "fit_s", "finetune_s", "score_s", "total_s")
    heads = ("extraction s", "cached s", "search s", "training s", "scoring s", "total s")
    said = [n for n in names if any(run["cost"][n] for run in document["runs"])]
    rows = []
    for run in document["runs"]:
        cost = run["cost"]
        rows.append(
            [
                printable(run["label"]),
                run["what"],
                *(_seconds(cost[name]) for name in said),
                NOTHING if cost["images_per_s"] is None else f"{cost['images_per_s']:,.0f}",
                NOTHING if cost["model_bytes"] is None else f"{cost['model_bytes']:,}",
                "yes" if run["pareto"] else "no" if cost["total_s"] is not None else NOTHING,
            ]
        )
    columns = ["run", "what", *(heads[names.index(n)] for n in said)]
    columns += ["images/s", "model bytes", "on the front"]
    note = (
        "On the front (Pareto-optimal): no other run is at least as good for less, or better "
        "for as little."
    )
    return Table("Cost", columns, rows, words=frozenset({0, 1, len(columns) - 1}), note=note)


def _plot(document: Mapping[str, Any]) -> Iterator[Plot]:
    metric = document["metric"]
    points = [
        Point(
            printable(run["label"]),
            run["cost"]["total_s"],
            **run["metrics"][metric],
            front=run["pareto"],
        )
        for run in document["runs"]
        if run["cost"]["total_s"] and run["metrics"][metric]["value"] is not None
    ]
    if len(points) > 1:
        yield Plot("Quality against cost", metric_name(metric), lower_is_better(metric), points)


def _classes(document: Mapping[str, Any]) -> Iterator[Table]:
    """Where each run wins and loses, the classes with the most changes first."""
    for each in document["differences"]:
        found = sorted(each["per_class"].items(), key=lambda c: -c[1]["wins"] - c[1]["losses"])
        rows = [
            [
                printable(name),
                f"{row['support']:,}",
                f"{row['wins']:,}",
                f"{row['losses']:,}",
                NOTHING if row["recall"] is None else _signed(row["recall"]),
            ]
            for name, row in found[:MOST_CLASSES]
        ]
        title = (
            f"Classes: {printable(each['run'])} against {printable(document['runs'][0]['label'])}"
        )
        note = "Won: right where the baseline is wrong. No test is made of single classes."
        if len(found) > MOST_CLASSES:
            note += f" {MOST_CLASSES} of {len(found)} classes."
        columns = ["class", "predictions", "won", "lost", "recall difference"]
        yield Table(title, columns, rows, note=note)


def _images(document: Mapping[str, Any]) -> Iterator[Table]:
    found = document["disagreements"]
    if not found["n"]:
        return
    labels = [printable(run["label"]) for run in document["runs"]]
    folded = document["judged"]["n_folds"] is not None
    rows = [
        [
            printable(image),
            *([str(fold)] if folded else []),
            printable(true),
            *(printable(name) for name in said),
            printable(right) or "none",
        ]
        for image, _, fold, true, *said, right in found["rows"][:MOST_IMAGES]
    ]
    note = "The first of them; --disagreements FILE writes all." if found["n"] > len(rows) else ""
    columns = ["image", *(["fold"] if folded else []), "true", *labels, "right"]
    yield Table(
        f"Predicted differently: {found['n']:,}",
        columns,
        rows,
        words=frozenset(range(len(columns))) - ({1} if folded else set()),
        note=note,
    )


def _with_interval(row: Mapping[str, float | None]) -> str:
    bounds = ""
    if row["low"] is not None and row["high"] is not None:
        bounds = f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f}{bounds}"


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.1f}"
