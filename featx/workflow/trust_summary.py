"""How far to trust a model's answers, in sentences for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx.files import printable

__all__ = ["trust_sentences"]


def trust_sentences(trust: Mapping[str, Any]) -> Iterator[str]:
    """What ``trust`` in ``results.json`` says, one sentence for each part."""
    calibration = trust["calibration"]
    if calibration["asked"] != "none":
        yield f"Calibration: {calibration['method']} (asked for: {calibration['asked']})"
    decision = trust["decision"]
    if decision is not None and "recall" in decision:
        yield (
            f"Threshold for {printable(decision['asked'])}: recall {_share(decision['recall'])}, "
            f"precision {_share(decision['precision'])}"
        )
    elif decision is not None:
        yield (
            f"Decided by costs: {_number(decision['mean_cost'])} an image; by the likeliest class "
            f"it would be {_number(decision['mean_cost_of_the_likeliest'])}"
        )
    sets = trust["prediction_sets"]
    yield (
        f"Prediction sets meant for {100 * sets['coverage']:g} % hold the true class of "
        f"{_share(sets['covered'])} of the images; {_share(sets['abstained'])} have several "
        "classes in them or none that is likely enough (abstained), of the others "
        f"{_share(sets['accuracy_of_the_others'])} are right"
    )
    novelty = trust["novelty"]
    yield (
        f"Out-of-distribution score: {_share(novelty['false_alarms'])} of these images are flagged "
        f"({100 * novelty['rate']:g} % asked for)"
    )


def _share(row: Mapping[str, float | None]) -> str:
    value, low, high = row["value"], row["low"], row["high"]
    if value is None:
        return "–"
    bounds = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * value:.1f} %{bounds}"


def _number(row: Mapping[str, float | None]) -> str:
    low, high = row["low"], row["high"]
    bounds = "" if low is None or high is None else f" [{low:.3g}, {high:.3g}]"
    return f"{row['value']:.3g}{bounds}"
