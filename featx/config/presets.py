"""Sets of defaults for fine-tuning, and what a configuration of an older featx meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What each preset sets; a value that is given wins.
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"epochs": 5},
    "balanced": {"epochs": 12},
    "thorough": {"epochs": 30},
}

#: Fields whose meaning or default has changed since; an older featx wrote all of them.
_CHANGED = frozenset(
    {"epochs", "learning_rate", "layer_decay", "augment", "monitor", "patience", "warmup"}
)
_OLD = {"preset": None, "start": "fitted", "head_rate": 1.0, "average_last": 0.0}


def fill_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a section with those that its preset sets.

    A run of a featx without presets wrote every field into its configuration: there what is new
    means what was done then.
    """
    if "preset" not in given and given.keys() >= _CHANGED:
        return {**_OLD, **given}
    preset = given.get("preset", "balanced")
    return {**PRESETS.get(preset, {}), **given} if isinstance(preset, str) else dict(given)
