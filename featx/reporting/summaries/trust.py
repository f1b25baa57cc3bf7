"""How far to trust a model's answers, in sentences for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx.files import printable
from featx.numbers import interval

__all__ = ["trust_sentences"]


def trust_sentences(trust: Mapping[str, Any]) -> Iterator[str]:
    """What ``trust`` in ``results.json`` says, one sentence for each part."""
    calibration = trust["calibration"]
    if calibration["asked"] != "none":
        yield f"Calibration: {calibration['method']} (asked for: {calibration['asked']})"
    decision = trust["decision"]
    if decision is not None and "recall" in decision:
        yield _threshold_sentence(decision)
    elif decision is not None:
        yield (
            f"Decided by costs: {_number(decision['mean_cost'])} an image; by the likeliest class "
            f"it would be {_number(decision['mean_cost_of_the_likeliest'])}"
        )
    yield _sets_sentence(trust["prediction_sets"])
    novelty = trust["novelty"]
    yield (
        f"Out-of-distribution score: {_share(novelty['false_alarms'])} of these images are flagged "
        f"({100 * novelty['rate']:g} % asked for)"
    )


def _threshold_sentence(decision: Mapping[str, Any]) -> str:
    """What a threshold reaches, and whether that is what was asked for."""
    name, _, asked = str(decision["asked"]).rpartition(":")
    metric, _, target = asked.partition("=")
    found = [
        f"{k} undefined ({why})" if decision[k]["value"] is None else f"{k} {_share(decision[k])}"
        for k, why in (
            ("recall", "no image is of this class"),
            ("precision", "this class is never predicted"),
        )
    ]
    sentence = f"Threshold for {printable(name)}:{asked}: {', '.join(found)}"
    value = decision[metric]["value"]
    if value is None or round(value, 3) >= round(float(target), 3):
        return sentence
    return f"{sentence}; its {metric} is below the {100 * float(target):g} % asked for"


def _sets_sentence(sets: Mapping[str, Any]) -> str:
    """Coverage, and who is abstained from; there may be nobody, or nobody else."""
    over = " of every class" if sets.get("over") == "classes" else ""
    sentence = (
        f"Prediction sets meant for {100 * sets['coverage']:g} %{over} hold the true class of "
        f"{_share(sets['covered'])} of the images"
    )
    abstained, right = sets["abstained"]["value"], sets["accuracy_of_the_others"]
    if right["value"] is None:
        return f"{sentence}; the model abstains on all of them"
    if not abstained:
        return f"{sentence}; the model abstains on none, and {_share(right)} are predicted right"
    return (
        f"{sentence}; the model abstains on {_share(sets['abstained'])}, where a set has several "
        f"classes or no class is likely enough, and {_share(right)} of the rest are predicted right"
    )


def _share(row: Mapping[str, float | None]) -> str:
    return interval(row, 1, scale=100, unit=" %")


def _number(row: Mapping[str, float | None]) -> str:
    return interval(row, kind="g")
