"""No resampling: the row that every other sampler is held against."""

from __future__ import annotations

from featx.samplers._sampler import Counts, Sampler


def build(counts: Counts, random_state: int) -> None:
    """Leave the training fold as it is."""
    return


PLUGIN = Sampler(name="none", summary="no resampling", build=build)
