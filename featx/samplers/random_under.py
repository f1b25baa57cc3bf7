"""Leave out images of the larger classes."""

from __future__ import annotations

from typing import Any

from featx.samplers._sampler import Counts, Sampler

FEW_IMAGES = 10


def build(counts: Counts, random_state: int) -> Any:
    """Draw without replacement until every class has as many images as the smallest."""
    from imblearn.under_sampling import RandomUnderSampler

    return RandomUnderSampler(random_state=random_state)


def describe(counts: Counts) -> str | None:
    """Warn where next to nothing is left to learn from."""
    smallest = min(counts.values())
    if smallest >= FEW_IMAGES:
        return None
    return f"keeps only {smallest} image(s) of every class, as many as the smallest has"


PLUGIN = Sampler(
    name="random-under",
    summary="drops images of larger classes at random",
    build=build,
    describe=describe,
)
