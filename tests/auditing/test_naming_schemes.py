"""Groups are found in names of many schemes, and none where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from naming_schemes import NO_GROUPS, SCHEMES, named, nameless
from sklearn.metrics.cluster import pair_confusion_matrix

from featx.auditing.grouping import named_groups


def embeddings(labels: list[str], owners: list[int], strength: float, seed: int) -> np.ndarray:
    """Noise around a centre for the class and one for the group."""
    rng = np.random.default_rng(seed)
    _, y = np.unique(labels, return_inverse=True)
    X = 1.2 * rng.normal(size=(3, 32))[y] + strength * rng.normal(size=(len(owners), 32))[owners]
    return (X + rng.normal(size=X.shape)).astype(np.float32)


def pairwise_f1(found: np.ndarray, truth: list[int]) -> float:
    (_, wrong), (missed, right) = pair_confusion_matrix(truth, found)
    return float(2 * right / (2 * right + wrong + missed))


@pytest.mark.parametrize("strength", [0.45, 0.9])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_groups_are_found(scheme: str, strength: float) -> None:
    ids, labels, owners = named(scheme, seed=0)
    assert len(set(ids)) == len(ids)
    found = named_groups(ids, labels, embeddings(labels, owners, strength, 1), seed=0)
    assert found is not None
    assert pairwise_f1(found.suggestion.codes, owners) >= 0.95, found.suggestion.rule


@pytest.mark.parametrize("scheme", NO_GROUPS)
def test_none_are_found_where_names_hold_none(scheme: str) -> None:
    for seed in range(3):
        ids, labels, owners = nameless(scheme, 200, seed)
        found = named_groups(ids, labels, embeddings(labels, owners, 0, seed), seed=0)
        assert found is None, found.suggestion.rule


@pytest.mark.parametrize("scheme", ["patient, slide and frame", "parts of UUIDs"])
def test_names_alone_are_no_groups(scheme: str) -> None:
    """Images that have nothing in common but a field of their names."""
    ids, labels, owners = named(scheme, seed=0)
    assert named_groups(ids, labels, embeddings(labels, owners, 0, 1), seed=0) is None
