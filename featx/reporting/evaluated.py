"""An evaluation in plain sentences and tables: what was found, how sure, and what is doubtful."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx.console import counted, first_few
from featx.files import printable
from featx.numbers import interval, percent
from featx.reporting.blocks import Block, Chapter, Points, Table
from featx.reporting.by import by_sentences
from featx.scoring.checks import Check, drift_sentence
from featx.stats.metrics import metric_name

__all__ = ["evaluation_chapters", "evaluation_sentences", "likeness_sentences"]

MOST_NAMED = 5
FEW = 20  # images of a class, of which little is known
PLACES = {
    "inside": "the value here lies inside that interval",
    "below": "the value here lies below that interval",
    "above": "the value here lies above that interval",
    "unknown": "there is no interval to hold the value against",
}


def evaluation_sentences(results: Mapping[str, Any]) -> list[str]:
    """What was found, beside the shipped estimate, what is hardest and what is doubtful.

    Parameters
    ----------
    results : mapping
        ``results.json`` of an evaluation.
    """
    only_copies = results["estimate"]["method"] == "copies"
    return [
        _found(results),
        *(_copies(results) if only_copies else _shipped(results)),
        *_hardest(results),
        *by_sentences(results),
        *(() if only_copies else _copies(results)),
        *_classes(results["evaluation"]),
    ]


def likeness_sentences(results: Mapping[str, Any]) -> list[str]:
    """Whether the images are like the training images: each check, and drift."""
    evaluation = results["evaluation"]
    checks = [_check(name, row) for name, row in evaluation["checks"].items()]
    return [
        *(check.sentence() for check in checks if check.of),
        drift_sentence(evaluation["drift"], evaluation["drift_not_tested"] or ""),
        *(check.warning() for check in checks if check.far),
    ]


def evaluation_chapters(results: Mapping[str, Any]) -> Iterator[Chapter]:
    """What the page of an evaluation has beside that of other runs."""
    evaluation = results["evaluation"]
    rows = [
        [metric_name(name), row["here"], row["shipped"], row["place"], row["difference"] or ""]
        for name, row in evaluation["against_shipped"].items()
    ]
    columns = ("", "here", "shipped", "value here", "here minus shipped")
    blocks: list[Block] = [Table(columns, rows, {0, 3})] if rows else []
    yield Chapter("shipped", "Beside the shipped estimate", blocks)
    points = Points(likeness_sentences(results))
    yield Chapter("images", "Are these images like the training images?", [points])


def _found(results: Mapping[str, Any]) -> str:
    estimate, data = results["estimate"], results["dataset"]
    metrics = estimate["metrics"]
    groups = f" in {counted(estimate['n_groups'], 'group')}" if estimate["n_groups"] else ""
    model = printable(results["evaluation"]["model"]) or results["chosen"]["backbone"]
    sentence = (
        f"{model} is right on {interval(metrics['accuracy'], 1, scale=100, unit=' %')} of "
        f"{counted(estimate['n_images'], 'image')}{groups} of {data['source']}; balanced accuracy "
        f"{interval(metrics['balanced_accuracy'])}. Intervals are at 95 %."
    )
    often = [(row["support"], name) for name, row in estimate["per_class"].items()]
    n, name = max(often, key=lambda pair: (pair[0], pair[1]))
    share, low = n / max(estimate["n_images"], 1), metrics["accuracy"]["low"]
    if low is not None and low <= share:
        sentence += (
            f" That is not reliably better than always predicting {name!r}, which is right on "
            f"{percent(share)}."
        )
    return sentence


def _shipped(results: Mapping[str, Any]) -> Iterator[str]:
    evaluation, shipped = results["evaluation"], results["evaluation"]["shipped"]
    against = evaluation["against_shipped"]
    scoring = results["scoring"].removeprefix("neg_")
    name = next((n for n in (scoring, "balanced_accuracy", "accuracy") if n in against), None)
    if name is None:
        why = "none of these images is of a class that it knows" if shipped else "it has none"
        yield f"The model's own estimate cannot be held against this: {why}."
        return
    row = against[name]
    of = ""
    if evaluation["unknown_classes"] or evaluation["classes_without_images"]:
        lacking = len(evaluation["unknown_classes"]) + len(evaluation["classes_without_images"])
        n = len(results["classes"]) - lacking
        of = f", over the {counted(n, 'class')} that both have," if n > 1 else ""
    sentence = (
        f"The model was shipped with {metric_name(name)} {interval(row['shipped'])} "
        f"({shipped['method']}); here{of} it is {interval(row['here'])}: {PLACES[row['place']]}"
    )
    if row["place"] in {"below", "above"} and row["difference"] is not None:
        beyond = row["difference"]["low"] > 0 or row["difference"]["high"] < 0
        chance = "beyond chance" if beyond else "which chance can explain"
        sentence += f" (difference {interval(row['difference'], signed=True)}, {chance})"
    if row["worse"]:
        sentence += ". The shipped estimate does not hold for these images"
    yield f"{sentence}."


def _hardest(results: Mapping[str, Any]) -> Iterator[str]:
    unknown = results["evaluation"]["unknown_classes"]
    rows = [
        (row["recall"]["value"], name, row)
        for name, row in results["estimate"]["per_class"].items()
        if row["support"] and row["recall"]["value"] is not None and name not in unknown
    ]
    if len(rows) < 2:
        return
    value, name, row = min(rows, key=lambda each: each[:2])
    if value == 1:
        yield "Every image is predicted right."
        return
    few = " (few images: little is known of it)" if row["support"] < FEW else ""
    images = counted(row["support"], "image", "is/are")
    yield f"Hardest is {name!r}: {interval(row['recall'])} of its {images} recognised{few}."


def _copies(results: Mapping[str, Any]) -> Iterator[str]:
    copies, estimates = results["evaluation"]["copies"], results["estimates"]
    if not copies["known"]:
        yield (
            "Whether some of these images are copies of training images cannot be told: the model "
            "was made by a version of featx that did not keep their digests."
        )
        return
    if copies["untold"]:
        yield (
            f"Whether {counted(copies['untold'], 'image', 'is a copy/are copies')} of training "
            "images cannot be told: the cache has no hashes of their pixels."
        )
    if not copies["images"]:
        yield "None of the images is a copy of a training image."
    elif "with_copies" in estimates:
        of, all_ = (estimates[name]["metrics"]["accuracy"] for name in ("copies", "with_copies"))
        verb = "is a copy of a training image and is/are copies of training images and are"
        yield (
            f"{counted(copies['images'], 'image', verb)} left out; accuracy on them is "
            f"{interval(of)}, and {interval(all_)} on all images together."
        )
    else:
        yield (
            "All of the images are copies of training images: this says nothing of how good the "
            "model is on new ones."
        )


def _classes(evaluation: Mapping[str, Any]) -> Iterator[str]:
    unknown, missing = evaluation["unknown_classes"], evaluation["classes_without_images"]
    if unknown:
        named = first_few([repr(printable(name)) for name in unknown], MOST_NAMED)
        n = sum(unknown.values())
        yield (
            f"{counted(len(unknown), 'class', 'is/are')} unknown to the model ({named}): "
            f"{counted(n, 'image')}, which cannot be right and count as wrong."
        )
    if missing:
        named = first_few([repr(printable(name)) for name in missing], MOST_NAMED)
        yield (
            f"{counted(len(missing), 'class')} of the model without images here ({named}): how "
            "well the model recognises them is not shown."
        )


def _check(name: str, row: Mapping[str, Any]) -> Check:
    return Check(name, row["images"], row["of"], row["usual"], row["p"])
