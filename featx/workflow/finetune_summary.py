"""A finished fine-tune as tables for a person."""

from __future__ import annotations

from typing import Any

from featx import console
from featx.workflow.fitting import Run
from featx.workflow.summary import print_classes, print_estimate

__all__ = ["print_finetune"]


def print_finetune(run: Run) -> None:
    """Print how training went, both estimates, the classes, and what to do next."""
    results = run.results
    rows = [_row(training) for training in results["finetuning"]["trainings"]]
    columns = (
        "training",
        "epochs",
        "best",
        "ended by",
        "frozen",
        "fine-tuned",
        "loss",
        "loss ",
        "s",
    )
    console.table(f"Validation images: {results['scoring']}, and loss", columns, rows)
    print_estimate("", results["estimate"])
    for name, estimate in results["estimates"].items():
        print_estimate(name, estimate)
    print_classes(results["estimate"]["per_class"])
    console.log(f"\nNext: featx score {run.folder} NEW_IMAGES -o scores.csv")


def _row(training: dict[str, Any]) -> tuple[Any, ...]:
    frozen, tuned = training["frozen"], training["finetuned"]
    return (
        training["name"],
        training["epochs"],
        training["best_epoch"],
        training["stopped"],
        frozen["validation_score"],
        tuned["validation_score"],
        frozen["validation_loss"],
        tuned["validation_loss"],
        f"{training['elapsed_s']:.1f}",
    )
