"""Repeat images of the smaller classes."""

from __future__ import annotations

from typing import Any

from featx.samplers._sampler import Counts, Sampler


def build(counts: Counts, random_state: int) -> Any:
    """Draw with replacement until every class has as many images as the largest."""
    from imblearn.over_sampling import RandomOverSampler

    return RandomOverSampler(random_state=random_state)


PLUGIN = Sampler(
    name="random-over", summary="repeats images of smaller classes at random", build=build
)
