"""What was asked, what it is compared with, and how far to trust it, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from featx.console import counted
from featx.files import printable
from featx.numbers import interval, percent
from featx.reporting.contents import Subject
from featx.stats.metrics import metric_name


def asked(subject: Subject) -> str:
    """The question, the images and the means."""
    results = subject.results
    data = results["dataset"]
    tried = results.get("search", {}).get("trials")
    how = f"; {counted(tried, 'setting')} tried" if tried else ""
    if "finetuning" in results:
        kept = results["finetuning"]["answer"] == "finetuned"
        tried = results["finetuning"].get("tried", {}).get("recipe")
        recipe = f" ({printable(tried)})" if tried else ""
        how = f"; the backbone was trained too{recipe}{'' if kept else ', which is not kept'}"
    groups = results.get("n_groups_in_all")
    if groups is None and not results.get("n_test_images"):  # else those are of a part of them
        groups = results.get("n_groups")
    of = f" in {counted(groups, 'group')}" if groups else ""
    if subject.of_arrays:
        return (
            f"Asked: which of {counted(len(subject.classes), 'class')} does a row belong to? From "
            f"{counted(data['images'], 'row')}{of} of {data['source']}{how}. Below, a row is "
            "called an image."
        )
    return (
        f"Asked: which of {counted(len(subject.classes), 'class')} is in an image? From "
        f"{counted(data['images'], 'image')}{of} of {data['source']}, by embeddings of "
        f"{results['chosen']['backbone']}{how}."
    )


def compared(subject: Subject) -> str:
    """The commonest class, and the nearest rival or the other model."""
    often = np.bincount(subject.y, minlength=len(subject.classes))
    base = f"Always saying {subject.classes[int(often.argmax())]!r} would be right for "
    base += f"{percent(often.max() / often.sum())} of the same images"
    if "finetuning" in subject.results:
        other = next(iter(subject.results["estimates"].items()), None)
        if other is None:
            return base + "."
        name, estimate = other
        accuracy = interval(estimate["metrics"]["accuracy"])
        tuning = subject.results["finetuning"]
        untrained = tuning.get("untrained", {"trainings": 0, "of": 1})
        if name == "finetuned" and untrained["trainings"] == untrained["of"]:
            why = f": {tuning['not_kept']}" if tuning.get("not_kept") else ""
            return (
                f"{base}; there is no fine-tuned model{why}. The head that training started from, "
                f"fitted without the validation images, has accuracy {accuracy}."
            )
        called = {"finetuned": "fine-tuned"}.get(name, name)
        return f"{base}; the {called} model has accuracy {accuracy}."
    rivals = [
        row for row in subject.results.get("candidates", []) if row["against_chosen"] is not None
    ]
    if not rivals:
        return base + "; no other kind of classifier was tried."
    best = max(rivals, key=lambda row: row["against_chosen"]["mean"])
    against = best["against_chosen"]
    return (
        f"{base}; of {counted(len(rivals), 'other kind')} tried, the nearest "
        f"({_kind(best)}) differs by {interval(against, signed=True)} in "
        f"{metric_name(subject.results['scoring'])} on the folds of the search."
    )


def _kind(row: Mapping[str, Any]) -> str:
    parts = [str(row["head"])]
    if row["sampler"] != "none":
        parts.append(str(row["sampler"]))
    if row["class_weight"] != "none":
        parts.append("class weights")
    return printable(" with ".join(parts[:1] + [" and ".join(parts[1:])] * (len(parts) > 1)))


def trusted(subject: Subject) -> str:
    """Whether probabilities can be taken as they are, and how right the surer half is."""
    calibration = subject.estimate["calibration"]
    sure = subject.proba[np.arange(len(subject.y)), subject.y_pred]
    half = np.argsort(-sure, kind="stable")[: max(1, len(sure) // 2)]
    right = percent(float((subject.y_pred == subject.y)[half].mean()))
    # Calibration is of the likeliest class, whatever a threshold or costs decide for.
    mean = float(subject.proba.max(axis=1).mean())
    accuracy = float((subject.proba.argmax(axis=1) == subject.y).mean())
    return (
        f"{calibrated(calibration, mean, accuracy)} Of the images with the higher confidence, one "
        f"half, {right} are predicted right."
    )


def calibrated(calibration: Mapping[str, Any], mean: float, accuracy: float) -> str:
    """Whether probabilities can be taken as they are, in a sentence.

    Parameters
    ----------
    calibration : mapping
        See `featx.stats.losses.describe_calibration`.
    mean : float
        Mean probability of the likeliest class.
    accuracy : float
        How often that class is right.
    """
    error, high = calibration["ece"], calibration["if_right_high"]
    figures = (
        f"(calibration error {error:.3f}; perfect ones would rarely show more than {high:.3f})"
    )
    if error <= high:
        return f"Its probabilities can be taken as they are {figures}."
    gap = mean - accuracy
    if abs(gap) < error / 2:
        return f"Its probabilities are too high for some images and too low for others {figures}."
    return (
        f"Its probabilities are too {'high' if gap > 0 else 'low'} on the whole: {mean:.3f} on "
        f"average, where {accuracy:.3f} are right {figures}."
    )
