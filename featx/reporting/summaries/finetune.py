"""A finished fine-tune as tables for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from featx import console
from featx.config import ExtractConfig, score_command
from featx.reporting.blocks import Block, Heading, Table
from featx.reporting.summaries.fit import judged_blocks
from featx.reporting.terminal import show
from featx.runs import Run

__all__ = ["print_finetune"]


def print_finetune(run: Run, extract: ExtractConfig) -> None:
    """Print how training went, both estimates, the classes, and what to do next."""
    trainings = run.results["finetuning"]["trainings"]
    columns = (
        *("training", "epochs", "best", "ended by"),
        *("score: frozen", "best", "last", "loss: frozen", "best", "last", "s"),
    )
    title = (
        f"Validation images: {run.results['scoring']} and loss, before training (frozen) and after "
        f"the best and the last epoch; best by {trainings[0]['watched']}"
    )
    rows = [_row(training) for training in trainings]
    show([Heading(title), Table(columns, rows), *_searches(trainings), *judged_blocks(run.results)])
    console.log(f"\nNext: {score_command(str(run.folder), extract)}")


def _searches(trainings: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """What each search chose, and all that the last one tried: the one whose network ships."""
    searched = [t for t in trainings if "search" in t]
    if not searched:
        return
    names = [k for k in searched[-1]["search"]["chosen"] if k != "number"]
    rows = [
        (
            training["name"],
            len(training["search"]["trials"]),
            sum(trial["stopped"] == "pruned" for trial in training["search"]["trials"]),
            training["search"]["ended"],
            *(_plain(value) for value in training["search"]["chosen"].values()),
        )
        for training in searched
    ]
    yield Heading("Searched, each on the validation images of its own training")
    yield Table(("training", "trials", "pruned", "ended by", "chosen", *names), rows)
    rows = [
        (
            *(_plain(trial[k]) for k in ("number", *names, "trained_epochs", "stopped")),
            trial["validation_score"],
            trial["validation_loss"],
        )
        for trial in searched[-1]["search"]["trials"]
    ]
    yield Heading(f"Tried for {searched[-1]['name']}")
    yield Table(("trial", *names, "trained", "ended by", "score", "loss"), rows)


def _plain(value: Any) -> Any:
    """Rates are too small for three decimals."""
    return f"{value:.3g}" if isinstance(value, float) else value


def _row(training: Mapping[str, Any]) -> tuple[Any, ...]:
    each = [training[k] for k in ("frozen", "finetuned", "last")]
    return (
        training["name"],
        training["epochs"],
        training["best_epoch"],
        training["stopped"],
        *(row["validation_score"] for row in each),
        *(row["validation_loss"] for row in each),
        f"{training['elapsed_s']:.1f}",
    )
