"""A finished fine-tune as tables for a person."""

from __future__ import annotations

from typing import Any

from featx import console
from featx.config import ExtractConfig, score_command
from featx.reporting.summaries.fit import print_classes, print_estimate
from featx.runs import Run

__all__ = ["print_finetune"]


def print_finetune(run: Run, extract: ExtractConfig) -> None:
    """Print how training went, both estimates, the classes, and what to do next."""
    results = run.results
    rows = [_row(training) for training in results["finetuning"]["trainings"]]
    columns = (
        *("training", "epochs", "best", "ended by"),
        *("score: frozen", "best", "last", "loss: frozen", "best", "last", "s"),
    )
    watched = results["finetuning"]["trainings"][0]["watched"]
    title = (
        f"Validation images: {results['scoring']} and loss, before training (frozen) and after the "
        f"best and the last epoch; best by {watched}"
    )
    console.table(title, columns, rows)
    _print_searches(results["finetuning"]["trainings"])
    print_estimate("", results["estimate"])
    for name, estimate in results["estimates"].items():
        print_estimate(name, estimate)
    print_classes(results["estimate"]["per_class"])
    console.log(f"\nNext: {score_command(str(run.folder), extract)}")


def _print_searches(trainings: list[dict[str, Any]]) -> None:
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
    columns = ("training", "trials", "pruned", "ended by", "chosen", *names)
    console.table("\nSearched, each on the validation images of its own training", columns, rows)
    rows = [
        (
            *(_plain(trial[k]) for k in ("number", *names, "trained_epochs", "stopped")),
            trial["validation_score"],
            trial["validation_loss"],
        )
        for trial in searched[-1]["search"]["trials"]
    ]
    columns = ("trial", *names, "trained", "ended by", "score", "loss")
    console.table(f"\nTried for {searched[-1]['name']}", columns, rows)


def _plain(value: Any) -> Any:
    """Rates are too small for three decimals."""
    return f"{value:.3g}" if isinstance(value, float) else value


def _row(training: dict[str, Any]) -> tuple[Any, ...]:
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
