"""SMOTE, then images that disagree with their neighbours are left out."""

from __future__ import annotations

from typing import Any

from featx.samplers._sampler import Counts, Sampler, describe_neighbourhood
from featx.samplers.smote import build as build_smote


def build(counts: Counts, random_state: int) -> Any:
    """Batista et al., "A study of the behavior of several methods", SIGKDD Explorations 2004."""
    from imblearn.combine import SMOTEENN

    return SMOTEENN(random_state=random_state, smote=build_smote(counts, random_state))


PLUGIN = Sampler(
    name="smote-enn",
    summary="SMOTE, then drops what disagrees with its neighbours",
    build=build,
    describe=describe_neighbourhood,
)
