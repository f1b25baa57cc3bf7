"""ADASYN: SMOTE, more of it where a class is hard to learn."""

from __future__ import annotations

from typing import Any

from featx.samplers._sampler import Counts, Sampler, describe_neighbourhood, fit_neighbourhood


def build(counts: Counts, random_state: int) -> Any:
    """He et al., "ADASYN: adaptive synthetic sampling", IJCNN 2008."""
    from imblearn.over_sampling import ADASYN

    k, strategy = fit_neighbourhood(counts)
    return ADASYN(sampling_strategy=strategy, random_state=random_state, n_neighbors=k)


PLUGIN = Sampler(
    name="adasyn",
    summary="SMOTE with more samples where a class is hard",
    build=build,
    describe=describe_neighbourhood,
)
