"""A finished run as tables for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from featx import console
from featx.config import ExtractConfig, score_command
from featx.files import printable
from featx.reporting.blocks import Block, Heading, Paragraph, Points, Table
from featx.reporting.by import by_blocks
from featx.reporting.evaluated import evaluation_chapters
from featx.reporting.summaries.curve import curve_blocks, tuning_curve_blocks
from featx.reporting.summaries.thresholds import (
    diagnostic_table,
    evaluated_words,
    short_points,
)
from featx.reporting.summaries.trust import trust_sentences
from featx.reporting.tables import candidate_blocks, class_table, estimate_blocks, hardest_first
from featx.reporting.tabular import tabular_blocks
from featx.reporting.terminal import show
from featx.reporting.verdict import run_verdict
from featx.runs import Run
from featx.runs.writing import PAGE
from featx.shell import as_argument, shell_line
from featx.types import ARRAYS

MOST_CLASSES = 20


def print_run(run: Run, extract: ExtractConfig) -> None:
    """Print what was found in a few sentences, where page and scores are, and what to do next.

    With ``-v`` also the tables of the page, before them.
    """
    if console.verbosity() >= 1:
        show(list(_blocks(run.results)))
        console.text("")
    show([Points(run_verdict(run.results))])
    if (curve := run.results.learning_curve) is not None:
        show([Points(curve.summary)])
    both = run.results.finetuning and run.results.finetuning.learning_curve
    if both:
        show([Points(both.summary)])
    costs = list(short_points(run.results.get("operating")))
    if costs:
        console.text("")
        show(costs)
    console.text("")
    page = run.folder / PAGE
    again = shell_line("featx", "report", as_argument(run.folder))
    where = str(page) if page.is_file() else f"none yet; {again} makes it"
    console.text(f"Page: {printable(where)}")
    console.text(f"Scores: {printable(str(run.folder / 'predictions.csv'))}")
    if (run.folder / "groups.csv").is_file():
        console.text(f"Groups: {printable(str(run.folder / 'groups.csv'))}")
    if command := _next(run, extract):
        console.log(f"\nNext: {command}")


def _next(run: Run, extract: ExtractConfig) -> str:
    """The command that scores new images; of an evaluation by its model, if that has a path."""
    rows = ARRAYS in run.results.extraction
    if run.results.evaluation is None:
        return score_command(str(run.folder), extract, rows=rows)
    asked = run.config.evaluate
    if asked is None or not asked.model:
        return ""
    command = score_command(asked.model, extract, rows=rows)
    return command + _flag("threshold", asked.threshold) + _flag("prevalence", asked.prevalence)


def _flag(name: str, value: Any) -> str:
    return "" if value is None else f" --{name} {as_argument(str(value))}"


def _blocks(results: Mapping[str, Any]) -> Iterator[Block]:
    if results.get("evaluation"):
        yield from evaluation_chapters(results)
    elif "finetuning" in results:
        yield from _trainings(results["finetuning"]["trainings"], results["scoring"])
    else:
        yield Heading(f"Search by {results['scoring']}, cross-validated")
        yield from candidate_blocks(results)
    yield Heading("Estimate")
    yield from estimate_blocks(results)
    yield from by_blocks(results)
    if "tabular" in results:
        yield Heading("Columns beside the embedding")
        yield from tabular_blocks(results)
    if results.get("operating"):
        yield from diagnostic_table(results["operating"])
        yield Paragraph(evaluated_words(results["operating"]))
    if results.get("trust"):
        yield Heading("How far to trust a prediction")
        yield Points(list(trust_sentences(results["trust"])))
    per_class, title = results["estimate"]["per_class"], "Classes"
    rows = list(per_class.items())
    if len(rows) > MOST_CLASSES:
        rows = hardest_first(per_class)[:MOST_CLASSES]
        title += f" ({MOST_CLASSES} hardest of {len(per_class)}; all are in results.json)"
    yield Heading(title)
    yield class_table(rows, ("recall", "precision", "f1"))
    if results.get("learning_curve") is not None:
        yield from curve_blocks(results["learning_curve"])
    both = results.get("finetuning", {}).get("learning_curve")
    if both is not None:
        yield from tuning_curve_blocks(both, results["scoring"])


def _trainings(trainings: Sequence[Mapping[str, Any]], scoring: str) -> Iterator[Block]:
    """How each training went, and what was searched."""
    columns = (
        *("training", "epochs", "best", "ended by"),
        *("score: frozen", "best", "last", "loss: frozen", "best", "last", "s"),
    )
    yield Heading(
        f"Validation images: {scoring} and loss, before training (frozen) and after the best and "
        f"the last epoch; best by {trainings[0]['watched']}"
    )
    yield Table(columns, [_row(training) for training in trainings])
    yield from _searches(trainings)


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
