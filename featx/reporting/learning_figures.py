"""Figures of learning: scores by the number of training images, and a training by its epochs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from featx.reporting.blocks import Figure, Table
from featx.reporting.contents import Subject
from featx.reporting.figures import in_legend, short
from featx.reporting.ink import Ink, hue
from featx.stats.metrics import metric_name

MOST_TRAININGS = 6
BOTH = "frozen", "finetuned", "difference", "low", "high"


def learning_figures(subject: Subject) -> Iterator[Figure]:
    """Those that the run has numbers for."""
    if (curve := subject.results.get("learning_curve")) is not None:
        yield _learning(curve)
    if (both := subject.results.get("finetuning", {}).get("learning_curve")) is not None:
        yield _learning_of_both(both, subject.results["scoring"])
    if subject.training:
        yield _training(subject, "loss")
        yield _training(subject, "score")


def _learning(curve: Any) -> Figure:
    """The score by how many images it was trained on, measured and expected."""
    name = curve["scorings"][0]
    measured = [[s["n_images"], *_ends(s["metrics"][name])] for s in curve["sizes"]]
    ahead = [[a["n_images"], *_ends(a["score"])] for a in curve["growth"][name]["ahead"]]

    def draw(axes: Any, ink: Ink) -> None:
        for rows, colour, style, label in (
            (measured, ink.accent, "-", "measured"),
            (ahead, hue(1), "--", "expected"),
        ):
            rows = [r for r in rows if r[1] is not None]
            if not rows:
                continue
            n, value, low, high = np.array(rows, float).T
            axes.plot(n, value, color=colour, linestyle=style, marker="o", markersize=4,
                      label=label)  # fmt: skip
            axes.fill_between(n, low, high, color=colour, alpha=0.15, linewidth=0)
        _count_axis(axes, [r[0] for r in measured + ahead])
        axes.set_ylabel(name.replace("_", " "))
        axes.legend(loc="best", fontsize=8)

    rows = [["measured", *r] for r in measured] + [["expected", *r] for r in ahead]
    words = " ".join([*curve["summary"][:1], "Bands are 95 % intervals.", *curve["notes"]])
    columns = ("kind", "n_images", name, "low", "high")
    return Figure("learning_curve", "Learning curve", words, draw, Table(columns, rows), (5.2, 4.2))


def _learning_of_both(curve: Any, scoring: str) -> Figure:
    """The scores of the frozen and of the fine-tuned model by the number of training images."""
    rows = [[s["n_images"], *(s["score"].get(k) for k in BOTH)] for s in curve["sizes"]]

    def draw(axes: Any, ink: Ink) -> None:
        n, frozen, tuned = np.array([row[:3] for row in rows], float).T
        axes.plot(n, tuned, color=ink.accent, marker="o", markersize=4, label="fine-tuned")
        axes.plot(n, frozen, color=hue(1), linestyle="--", marker="o", markersize=4, label="frozen")
        _count_axis(axes, [row[0] for row in rows])
        axes.set_ylabel(_score_name(scoring))
        axes.legend(loc="best", fontsize=8)

    title = "Learning curve: frozen and fine-tuned"
    words = " ".join([*curve["summary"], *curve["notes"]])
    columns = ("n_images", *BOTH)
    return Figure("learning_curve", title, words, draw, Table(columns, rows), (5.2, 4.2))


def _score_name(scoring: str) -> str:
    return "negative " * scoring.startswith("neg_") + metric_name(scoring)


def _count_axis(axes: Any, ticks: list[int]) -> None:
    """Numbers of images, those that were tried named."""
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks], rotation=45)
    axes.minorticks_off()
    axes.set_xlabel("images trained on")


def _ends(row: Any) -> list[Any]:
    return [row["value"], row["low"], row["high"]]


def _training(subject: Subject, what: str) -> Figure:
    """Loss or score by epoch, of each training."""
    sides = {
        "loss": {"validation_loss": "validation images", "train_loss": "training images"},
        "score": {"validation_score": "validation images"},
    }[what]
    kept = {t["name"]: t["best_epoch"] for t in subject.results["finetuning"]["trainings"]}
    scoring = subject.results["scoring"]
    trainings = list(dict.fromkeys(row["training"] for row in subject.training))
    rows = [
        [row["training"], int(row["epoch"]), *(_number(row.get(c)) for c in sides)]
        for row in subject.training
    ]

    def draw(axes: Any, ink: Ink) -> None:
        for k, training in enumerate(trainings[-MOST_TRAININGS:]):
            own = [row for row in rows if row[0] == training]
            for place, images in enumerate(sides.values()):
                named = images if len(trainings) == 1 else in_legend(short(training))
                axes.plot([r[1] for r in own], [r[2 + place] for r in own], color=hue(k),
                          linestyle=":" if place else "-", marker=".",
                          label=named if place == 0 or len(trainings) == 1 else None)  # fmt: skip
            best = [row for row in own if row[1] == kept.get(training)]
            axes.plot([r[1] for r in best], [r[2] for r in best], "o", color=hue(k), markersize=11,
                      fillstyle="none")  # fmt: skip
        axes.set_xlabel("epoch")
        axes.set_ylabel(_score_name(scoring) if what == "score" else "loss")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="best", fontsize=8)

    words = "One colour a training (a fold, or all images). " if len(trainings) > 1 else ""
    words += "Solid: validation images"
    words += "; dotted: training images." if what == "loss" else "."
    words += " Epoch 0 is the frozen model; a ring is around the epoch that is kept."
    columns = ("training", "epoch", *sides)
    title = f"Training: {what} by epoch"
    return Figure(f"training_{what}", title, words, draw, Table(columns, rows))


def _number(text: str | None) -> float:
    return float(text) if text else float("nan")
