"""How far to trust a model's answers, in sentences for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx.numbers import in_percent, interval
from featx.reporting.summaries.thresholds import threshold_sentence


def trust_sentences(trust: Mapping[str, Any]) -> Iterator[str]:
    """What ``trust`` in ``results.json`` says, one sentence for each part."""
    calibration = trust["calibration"]
    if calibration["asked"] != "none":
        yield f"Calibration: {calibration['method']} (asked for: {calibration['asked']})"
    decision = trust["decision"]
    if decision is not None and "recall" in decision:
        yield threshold_sentence(decision)
    elif decision is not None:
        yield (
            f"Decided by costs: {_number(decision['mean_cost'])} an image; by the likeliest class "
            f"it would be {_number(decision['mean_cost_of_the_likeliest'])}"
        )
    yield sets_sentence(trust["prediction_sets"], trust["prediction_sets"])
    yield novelty_sentence(trust["novelty"], trust["novelty"])


def novelty_sentence(limit: Mapping[str, Any], seen: Mapping[str, Any] | None) -> str:
    """How many images like the training images are flagged, as ``seen`` or else as meant."""
    method = f" ({limit['method']}, limit {limit['limit']:.3f})" if "method" in limit else ""
    score, rate = f"Out-of-distribution score{method}", f"{100 * limit['rate']:g} %"
    if seen is None:
        return f"{score}: meant to flag {rate} of images like these"
    flagged = in_percent(seen["false_alarms"])
    return f"{score}: {flagged} of these images are flagged ({rate} asked for)"


def sets_sentence(sets: Mapping[str, Any], seen: Mapping[str, Any] | None) -> str:
    """Coverage as ``seen``, and who is abstained from; there may be nobody, or nobody else."""
    over = " of every class" if sets.get("over") == "classes" else ""
    method = f" ({sets['method']})" if "method" in sets else ""
    meant = f"Prediction sets{method} meant for {100 * sets['coverage']:g} %{over}"
    if seen is None:
        return f"{meant} of the images; what they cover was not measured"
    sentence = f"{meant} hold the true class of {in_percent(seen['covered'])} of the images"
    if seen["accuracy_of_the_others"]["value"] is None:
        return f"{sentence}; the model abstains on all of them"
    right = in_percent(seen["accuracy_of_the_others"])
    if not seen["abstained"]["value"]:
        return f"{sentence}; the model abstains on none, and {right} are predicted right"
    return (
        f"{sentence}; the model abstains on {in_percent(seen['abstained'])}, where a set has "
        f"several classes or no class is likely enough, and {right} of the rest are predicted right"
    )


def _number(row: Mapping[str, float | None]) -> str:
    return interval(row, kind="g")
