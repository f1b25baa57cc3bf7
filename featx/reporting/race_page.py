"""The page of a race: what won, everything that took part, and quality against speed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from featx.console import counted
from featx.numbers import NOTHING, interval, number
from featx.racing.document import layers_text, row_name
from featx.racing.rounds import TWIN
from featx.reporting.blocks import (
    Block,
    Chapter,
    Figure,
    Figures,
    Paragraph,
    Points,
    Strong,
    Table,
)
from featx.reporting.html import page
from featx.reporting.ink import Ink, hue
from featx.stats.metrics import metric_name

MOST_EMBEDDINGS = 20
MARKERS = "sD^vP"  # of rounds, the last one a disc


def race_page(document: Mapping[str, Any]) -> str:
    """``race.html``.

    Parameters
    ----------
    document : mapping
        ``race.json``.
    """
    blocks: list[Block] = [
        Points(race_verdict(document), "verdict"),
        Chapter("pareto", "Quality against speed", list(_plot(document))),
        Chapter("streams", "Forward passes", list(_streams(document))),
        Chapter("layers", "Layers and poolings of the winner", list(_layers(document))),
    ]
    return page(f"Race on {document['source']}", blocks, broad=True)


def race_chapter(results: Mapping[str, Any]) -> list[Block]:
    """The race that chose a run's backbone, for its page; nothing where there was none."""
    document = results.get("race")
    if document is None:
        return []
    words = "Its best embeddings are among the candidates below: the fit chose among them."
    return [Points([*race_verdict(document), words]), *_plot(document), *_streams(document)]


def race_verdict(document: Mapping[str, Any]) -> list[Any]:
    """Its sentences, what won standing out."""
    first, *more = document["summary"]
    name = f"{row_name(document['winner'])}"
    return [[Strong(name), first.removeprefix(name)], *more]


def race_table(document: Mapping[str, Any]) -> Table:
    """One row for each forward pass."""
    metric = metric_name(document["scoring"])
    columns = ("", "forward pass", "best layers", "images", metric, "behind the winner",
               "images/s", "s", "remark")  # fmt: skip
    rows = [
        (
            place,
            row_name(row),
            layers_text(row) or NOTHING,
            row["images"],
            interval(row["score"]),
            "winner" if row is document["rows"][0] else interval(row["behind"], signed=True),
            NOTHING if row["images_per_s"] is None else number(row["images_per_s"], 0),
            number(row["seconds"], 1),
            "; ".join(filter(None, ["Pareto-optimal" if row["pareto"] else "", row["left"]])),
        )
        for place, row in enumerate(document["rows"], start=1)
    ]
    return Table(columns, rows, {1, 2, 4, 5, 8})


def _streams(document: Mapping[str, Any]) -> Iterator[Block]:
    yield race_table(document)
    rounds = ", ".join(f"{n:,}" for n in document["rounds"])
    yield Paragraph(
        f"Rounds of {rounds} images, each containing the ones before. One forward pass gives every "
        "layer and pooling; the best of them is shown. Forward passes are ranked by the mean log "
        "loss of several of their embeddings. Scores are of the last round that a "
        "forward pass was in, so only differences to the winner, which are on the same images, "
        "compare across rounds. Intervals: 95 % bootstrap, for one comparison each.",
        "note",
    )


def _plot(document: Mapping[str, Any]) -> Iterator[Block]:
    rows = [
        row for row in document["rows"]
        if row["images_per_s"] and row["behind"]["value"] is not None
        and not row["left"].startswith(TWIN)
    ]  # fmt: skip
    if len(rows) < 2:
        return
    metric = metric_name(document["scoring"])
    places = {row_name(row): i for i, row in enumerate(document["rows"], start=1)}
    table = [
        (places[row_name(row)], row_name(row), row["images_per_s"],
         *(row["behind"][k] for k in ("value", "low", "high")), row["pareto"])
        for row in rows
    ]  # fmt: skip
    words = (
        "Each mark is one forward pass with its best layers: how far it is behind the winner on "
        "the same images, against images a second. Filled: Pareto-optimal, no other one is as good "
        "and as fast. Bars: 95 % intervals. Numbers: rows of the table below."
    )
    yield Figures(
        [
            Figure(
                "race",
                f"{metric.capitalize()} behind the winner by speed",
                words,
                partial(draw_race, rows=rows, places=places, metric=metric,
                        rounds=document["rounds"]),
                Table(("row", "", "images/s", "behind", "low", "high", "Pareto-optimal"), table,
                      {1}),
                size=(7.6, 4.4),
            )
        ],
        wide=True,
    )  # fmt: skip


def draw_race(
    axes: Any,
    ink: Ink,
    rows: Sequence[Mapping[str, Any]],
    places: Mapping[str, int],
    metric: str,
    rounds: Sequence[int],
) -> None:
    """Marks with their intervals; colour and shape are the last round's."""
    for k, n in enumerate(rounds):
        of_round = [row for row in rows if row["images"] == n]
        last = k == len(rounds) - 1
        marker, colour = "o" if last else MARKERS[k % len(MARKERS)], hue(0 if last else k + 1)
        for i, row in enumerate(of_round):
            x, y = row["images_per_s"], row["behind"]
            if y["low"] is not None and y["high"] is not None:
                axes.plot([x, x], [y["low"], y["high"]], color=colour, linewidth=1, alpha=0.5)
            axes.plot(
                [x], [y["value"]], marker, color=colour, markersize=7,
                fillstyle="full" if row["pareto"] else "none",
                label=f"left after {counted(n, 'image')}" if not last and i == 0
                else f"in the last round, {n:,} images" if i == 0 else None,
            )  # fmt: skip
            axes.annotate(
                str(places[row_name(row)]), (x, y["value"]), (6, 4), textcoords="offset points",
                fontsize=8,
            )  # fmt: skip
    front = sorted((row["images_per_s"], row["behind"]["value"]) for row in rows if row["pareto"])
    if front:
        axes.step(*zip(*front, strict=True), where="pre", color=ink.soft, linestyle="--",
                  linewidth=1)  # fmt: skip
    axes.axhline(0, color=ink.line, linewidth=1, zorder=0)
    axes.set_xscale("log")
    speeds = [row["images_per_s"] for row in rows]
    ticks = [t for t in _TICKS if min(speeds) / 1.6 <= t <= max(speeds) * 1.6]
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel("images a second")
    axes.set_ylabel(f"{metric}, difference to the winner")
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=len(rounds), frameon=False, fontsize=8,
        borderaxespad=0.2,
    )  # fmt: skip


_TICKS = tuple(k * 10**e for e in range(6) for k in (1, 2, 5))


def _layers(document: Mapping[str, Any]) -> Iterator[Block]:
    found = document["winner"]["embeddings"]
    rows = [(", ".join(e["layers"]), e["n_features"], e["score"]) for e in found]
    yield Table(
        ("layers", "features", metric_name(document["scoring"])), rows[:MOST_EMBEDDINGS], {0}
    )
