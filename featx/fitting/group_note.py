"""What keeping groups together changes, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from featx.runs.estimates import Estimate
from featx.stats.metrics import metric_name
from featx.types import SITES

WHERE = {
    "test": "the test split",
    "holdout": "the share held out",
    "nested": "nested cross-validation",
    SITES: "every group left out by itself",
    "repeated": "repeated cross-validation",
}


def group_note(estimates: Mapping[str, Estimate], method: str, scoring: str, *, free: bool) -> str:
    """What groups change, by the same folds of the search with and without them.

    The number to report is the one that played no part in the choice, where there is one.
    """
    metric = scoring.removeprefix("neg_")
    values = {name: e.metrics[metric].value for name, e in estimates.items()}
    shown = {name: "undefined" if v is None else f"{v:.4f}" for name, v in values.items()}
    name = metric_name(metric)
    both = f"{shown['cv']} with groups kept together and {shown['image_level']} with groups ignored"
    if method == "cv":
        found = (
            f"The chosen candidate's cross-validated {name} is {both}: only the first estimates "
            "performance on new groups"
        )
        if free:
            return f"{found}."
        return (
            f"{found}, and it is too high on average, because candidates were selected on the "
            "same folds."
        )
    new = "" if method == "test" else " for new groups"  # a given test split may share some
    return (
        f"The {name} to report{new} is {shown[method]} ({WHERE[method]}). On the search's own "
        f"folds the chosen candidate has {both}; the two show the effect of groups"
    ) + (
        "."
        if free
        else f", and candidates were selected there{_optimistic(values, method, scoring)}."
    )


def _optimistic(values: Mapping[str, float | None], method: str, scoring: str) -> str:
    """By how much the folds that candidates were chosen on give a better number, where they do."""
    chosen, reported = values["cv"], values[method]
    if chosen is None or reported is None:
        return ""
    above = (chosen - reported) * (-1 if scoring.startswith("neg_") else 1)
    return f": the first is optimistic by {above:.4f}" if round(above, 4) > 0 else ""
