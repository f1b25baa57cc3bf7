"""What an evaluation has beside other runs, in plain sentences and tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from featx.console import counted, first_few
from featx.files import printable
from featx.numbers import in_percent, interval
from featx.reporting.blocks import Block, Chapter, Paragraph, Points, Table
from featx.scoring.checks import Check, drift_found, drift_sentence
from featx.stats.metrics import metric_name
from featx.types import Row

MOST_NAMED = 5
PLACES = {
    "inside": "the value here lies inside that interval",
    "below": "the value here lies below that interval",
    "above": "the value here lies above that interval",
    "unknown": "there is no interval to hold the value against",
}
DOUBTS = {
    "quarantined": "{} cannot be read",
    "abstained": "the model abstains on {}",
    "ood": "{} are out of distribution",
}


def evaluation_chapters(results: Row) -> Iterator[Chapter]:
    """What the page of an evaluation, and its terminal with ``-v``, have beside other runs.

    Parameters
    ----------
    results : mapping
        ``results.json`` of an evaluation.
    """
    evaluation = results["evaluation"]
    rows = [
        [metric_name(name), row["here"], row["shipped"], row["place"], row["difference"] or ""]
        for name, row in evaluation["against_shipped"].items()
    ]
    blocks: list[Block] = []
    if rows:
        columns = ("", "here", "shipped", "value here", "here minus shipped")
        words = (
            f"Shipped: {evaluation['shipped']['description']}. Value here: whether it lies inside "
            "the 95 % interval of the shipped estimate."
        )
        blocks = [Table(columns, rows, {0, 3}), Paragraph(words, "note")]
    yield Chapter("shipped", "Beside the estimate that the model was shipped with", blocks)
    points = Points([*_likeness(results), *_copies(results), *_classes(evaluation)])
    yield Chapter("alike", "Are these images like the training images?", [points])


def shipped_sentence(results: Row) -> str | None:
    """The number to read beside what the model was shipped with; None of other runs."""
    evaluation = results.get("evaluation")
    if not evaluation or results["estimate"]["method"] == "copies":
        return None
    here, shipped = ((evaluated or {}).get("recall") for evaluated in (
        (results.get("operating") or {}).get("in_force"), evaluation.get("shipped_decision")
    ))  # fmt: skip
    if here and shipped and None not in (here["value"], shipped["value"]):
        return f"On the training images, out of fold, that recall is {in_percent(shipped)}."
    against = evaluation["against_shipped"]
    scoring = results["scoring"].removeprefix("neg_")
    name = next((n for n in (scoring, "balanced_accuracy", "accuracy") if n in against), None)
    if name is None:
        why = "it has none"
        if evaluation["shipped"]:
            why = "none of these images is of a class that it knows"
        return f"This cannot be held against the estimate that the model was shipped with: {why}."
    row, lacking = against[name], [*evaluation["unknown_classes"],
                                   *evaluation["classes_without_images"]]  # fmt: skip
    n = len(results["classes"]) - len(lacking)
    of = f", over the {counted(n, 'class')} that both have," if lacking and n > 1 else ""
    sentence = (
        f"The model was shipped with {metric_name(name)} {interval(row['shipped'])}; here{of} it "
        f"is {interval(row['here'])}: {PLACES[row['place']]}"
    )
    if row["place"] in {"below", "above"} and row["difference"] is not None:
        beyond = row["difference"]["low"] > 0 or row["difference"]["high"] < 0
        chance = "beyond chance" if beyond else "which chance can explain"
        sentence += f" (difference {interval(row['difference'], signed=True)}, {chance})"
    if row["worse"]:
        sentence += ". The shipped estimate does not hold for these images"
    return f"{sentence}."


def evaluation_doubts(results: Row) -> Iterator[str]:
    """What is doubtful of an evaluation beside what is of any run, as parts of a sentence."""
    evaluation = results.get("evaluation")
    if not evaluation:
        return
    if unknown := evaluation["unknown_classes"]:
        n = counted(sum(unknown.values()), "image", "is/are")
        yield (
            f"{n} of {counted(len(unknown), 'class')} that the model does not know "
            f"({_named(unknown)}) and cannot be right"
        )
    copies = evaluation["copies"]
    if copies["images"] and results["estimate"]["method"] != "copies":
        n = counted(copies["images"], "image", "is a copy/are copies")
        yield f"{n} of training images and left out"
    drifted = bool(evaluation["drift"] and evaluation["drift"]["drift"])
    far = [
        DOUBTS[name].format(f"{row['images']:,} of {counted(row['of'], 'image')}")
        for name, row in evaluation["checks"].items()
        if row["far_above"]
    ]
    if drifted:
        far.append(drift_found(evaluation["drift"]))
    if far:
        yield " and ".join(far)


def evaluation_next(results: Row) -> str:
    """The one thing to do next."""
    evaluation = results["evaluation"]
    if results["estimate"]["method"] == "copies":
        return "Next: evaluate on images that the model was not fitted on."
    if evaluation["unknown_classes"]:
        return (
            "Next: fit a model with images of every class, or leave out those that it is not meant "
            "for."
        )
    if any(row["worse"] for row in evaluation["against_shipped"].values()):
        return (
            "Next: look at the mistakes on the page; a model for such images needs some of them "
            "among its training images."
        )
    return "Next: look at the mistakes on the page, then score new images of this kind."


def _likeness(results: Row) -> Iterator[str]:
    """Whether the images are like the training images: each check, and drift."""
    evaluation = results["evaluation"]
    checks = [
        Check(name, row["images"], row["of"], row["usual"], row["p"])
        for name, row in evaluation["checks"].items()
    ]
    yield from (check.warning() if check.far else check.sentence() for check in checks if check.of)
    yield drift_sentence(evaluation["drift"], evaluation["drift_not_tested"] or "")


def _copies(results: Row) -> Iterator[str]:
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


def _classes(evaluation: Row) -> Iterator[str]:
    unknown, missing = evaluation["unknown_classes"], evaluation["classes_without_images"]
    if unknown:
        n = sum(unknown.values())
        yield (
            f"{counted(len(unknown), 'class', 'is/are')} unknown to the model ({_named(unknown)}): "
            f"{counted(n, 'image')}, which cannot be right and count as wrong."
        )
    if missing:
        yield (
            f"{counted(len(missing), 'class')} of the model without images here "
            f"({_named(missing)}): how well the model recognises them is not shown."
        )


def _named(names: Any) -> str:
    return first_few([repr(printable(name)) for name in names], MOST_NAMED)
