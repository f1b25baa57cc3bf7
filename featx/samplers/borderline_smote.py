"""Borderline-SMOTE: SMOTE from the images near another class."""

from __future__ import annotations

from typing import Any

from featx.samplers._sampler import Counts, Sampler, describe_neighbourhood, fit_neighbourhood

N_BORDER_NEIGHBORS = 10


def build(counts: Counts, random_state: int) -> Any:
    """Han, Wang and Mao, "Borderline-SMOTE", ICIC 2005 (variant 1)."""
    from imblearn.over_sampling import BorderlineSMOTE

    k, strategy = fit_neighbourhood(counts)
    return BorderlineSMOTE(
        sampling_strategy=strategy,
        random_state=random_state,
        k_neighbors=k,
        m_neighbors=min(N_BORDER_NEIGHBORS, sum(counts.values()) - 1),
    )


PLUGIN = Sampler(
    name="borderline-smote",
    summary="SMOTE only from images near another class",
    build=build,
    describe=describe_neighbourhood,
)
