"""SMOTE: new embeddings between neighbours of one class."""

from __future__ import annotations

from typing import Any

from featx.samplers._sampler import Counts, Sampler, describe_neighbourhood, fit_neighbourhood


def build(counts: Counts, random_state: int) -> Any:
    """Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 2002."""
    from imblearn.over_sampling import SMOTE

    k, strategy = fit_neighbourhood(counts)
    return SMOTE(sampling_strategy=strategy, random_state=random_state, k_neighbors=k)


PLUGIN = Sampler(
    name="smote",
    summary="interpolates between neighbours of smaller classes",
    build=build,
    describe=describe_neighbourhood,
)
