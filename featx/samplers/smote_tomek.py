"""SMOTE, then pairs of nearest neighbours of different class are left out."""

from __future__ import annotations

from typing import Any

from featx.samplers._sampler import Counts, Sampler, describe_neighbourhood
from featx.samplers.smote import build as build_smote


def build(counts: Counts, random_state: int) -> Any:
    """Batista et al., "Balancing training data for automated annotation", WOB 2003."""
    from imblearn.combine import SMOTETomek

    return SMOTETomek(random_state=random_state, smote=build_smote(counts, random_state))


PLUGIN = Sampler(
    name="smote-tomek",
    summary="SMOTE, then drops nearest neighbours of different class",
    build=build,
    describe=describe_neighbourhood,
)
