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
_OLD = {"average_last": 0.0, "refit": False}
_BEFORE_PRESETS = {"preset": None, "start": "fitted", "head_rate": 1.0, **_OLD}


def fill_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a section with those that its preset sets.

    A run of an older featx wrote every field that there was into its configuration: there what is
    new means what was done then.
    """
    if given.keys() >= _CHANGED:
        return {**(_OLD if "preset" in given else _BEFORE_PRESETS), **given}
    preset = given.get("preset", "balanced")
    return {**PRESETS.get(preset, {}), **given} if isinstance(preset, str) else dict(given)
