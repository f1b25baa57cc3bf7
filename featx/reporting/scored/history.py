"""Earlier scorings beside this one, from the file of ``--history``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from featx.console import counted
from featx.numbers import NOTHING, p_value, percent
from featx.reporting.blocks import Block, Figure, Figures, Paragraph, Table
from featx.reporting.ink import Ink, hue

MOST_DRAWN = 365  # scorings: a year of nights
MOST_LISTED = 24
SHARES = {"ood": "out of distribution", "abstained": "abstained", "quarantined": "quarantined"}
DASHES = ("-", "--", ":")
P_VALUES = ("drift_p_embeddings", "drift_p_classes")


def history_blocks(history: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """Shares by scoring as a figure, and the latest scorings as a table, the latest first."""
    if not history:
        return
    shown = history[-MOST_DRAWN:]
    yield Paragraph(f"{counted(len(history), 'scoring')} in the history; this is the last.")
    yield Figures([_shares(shown)], wide=True)
    columns = ("date", "images", "rows", *SHARES.values(), "drift", "p embeddings", "p classes")
    yield Table(columns, [_row(entry) for entry in reversed(history[-MOST_LISTED:])], {0, 1})


def _row(entry: Mapping[str, Any]) -> list[Any]:
    drift = {True: "found", False: "none"}.get(entry.get("drift"), "not tested")  # type: ignore[arg-type]
    return [
        str(entry.get("date", "")),
        str(entry.get("images", "")),
        _whole(entry.get("rows")),
        *(percent(_number(entry.get(name))) for name in SHARES),
        drift,
        *(NOTHING if (p := _number(entry.get(name))) is None else p_value(p) for name in P_VALUES),
    ]


def _shares(history: Sequence[Mapping[str, Any]]) -> Figure:
    values = {name: [_number(entry.get(name)) for entry in history] for name in SHARES}
    n = len(history)

    def draw(axes: Any, ink: Ink) -> None:
        x = range(1, n + 1)
        for k, (name, words) in enumerate(SHARES.items()):
            y = [float("nan") if v is None else v for v in values[name]]
            axes.plot(x, y, color=hue(k), linestyle=DASHES[k], marker=".", label=words)
        drifted = [i for i, entry in zip(x, history, strict=True) if entry.get("drift") is True]
        axes.plot(drifted, [1.02] * len(drifted), "v", color=ink.ink, label="drift found")
        axes.set_ylim(-0.02, 1.06)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("scoring, the latest last")
        axes.set_ylabel("share of images")
        axes.legend(loc="best", fontsize=8)

    found = sum(entry.get("drift") is True for entry in history)
    words = (
        f"Shares in {counted(n, 'scoring')}, from {history[0].get('date')} to "
        f"{history[-1].get('date')}. Drift was found in {found:,}."
    )
    rows = [
        [str(entry.get("date", "")), *(values[name][i] for name in SHARES)]
        for i, entry in enumerate(history)
    ]
    return Figure("history", "Shares by scoring", words, draw, Table(("date", *SHARES), rows))


def _number(value: Any) -> float | None:
    """A share or p-value of a line, which anybody may have edited."""
    sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if sound else None


def _whole(value: Any) -> Any:
    return value if isinstance(value, int) and not isinstance(value, bool) else NOTHING
