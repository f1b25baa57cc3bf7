"""Groups found: what is closer than chance, numbers given anew, and copies across groups."""

from __future__ import annotations

import re

import numpy as np
import pytest

from featx.auditing.data import AuditData
from featx.auditing.duplicates import AlikeSets, CopySet
from featx.auditing.grouping import find_groups, named_groups
from featx.auditing.looking import Look
from featx.auditing.neighbours import standardise
from featx.auditing.proposals import FoundGroups
from featx.stats.closeness import across_contexts, closeness, closeness_beyond


def rows(centres: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = centres + rng.normal(size=centres.shape)
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def test_closeness_equals_the_mean_over_pairs() -> None:
    rng = np.random.default_rng(0)
    Z, y, g = rows(np.zeros((30, 8)), 1), rng.integers(0, 2, 30), rng.integers(0, 5, 30)
    within, across = [], []
    for i in range(30):
        same = [j for j in range(30) if j != i and y[j] == y[i]]
        inside = [float(Z[i] @ Z[j]) for j in same if g[j] == g[i]]
        outside = [float(Z[i] @ Z[j]) for j in same if g[j] != g[i]]
        if inside and outside:
            within.append(np.mean(inside))
            across.append(np.mean(outside))
    found = closeness(Z, y, g, permutations=9, seed=0)
    assert found is not None
    np.testing.assert_allclose((found.within, found.across), (np.mean(within), np.mean(across)),
                               atol=1e-6)  # fmt: skip
    assert closeness(Z, np.arange(30), g, permutations=9, seed=0) is None
    assert closeness_beyond(Z, y, g, g) is None


def test_names_are_groups_only_where_images_bear_it_out() -> None:
    owner = np.repeat(np.arange(12), 8)
    labels = ["a" if k % 2 else "b" for k in range(96)]
    ids = [
        f"{label}/s{g:02}_{k}.png" for k, (g, label) in enumerate(zip(owner, labels, strict=True))
    ]
    centres = np.random.default_rng(0).normal(size=(12, 32))
    found = named_groups(ids, labels, rows(centres[owner], 0), seed=0)
    assert found is not None
    assert found.suggestion.n_groups == 12
    assert named_groups(ids, labels, rows(np.zeros((96, 32)), 0), seed=0) is None


def test_groups_in_two_contexts_are_one_only_if_their_images_are_close() -> None:
    rng = np.random.default_rng(0)
    y, g = np.repeat([0, 1], 60), np.tile(np.arange(10), 12)
    of_class, centres = 3 * rng.normal(size=(2, 32)), rng.normal(size=(2, 10, 32))
    one = rows(of_class[y] + centres[0, g], 1)
    anew = rows(of_class[y] + centres[y, g], 1)
    held, apart = across_contexts(one, y, g, y), across_contexts(anew, y, g, y)
    assert held is not None
    assert apart is not None
    assert held > 0.8
    assert apart < 0.1
    assert across_contexts(one, y, g, np.zeros(120, int)) is None


def found_among_owners(sets: list[CopySet]) -> FoundGroups:
    """What is proposed for 96 images of twelve owners, of which some are copies."""
    owner = np.repeat(np.arange(12), 8)
    X = rows(np.random.default_rng(0).normal(size=(12, 32))[owner], 0)
    grey = np.random.default_rng(1).integers(0, 255, (96, 64, 64), np.uint8)
    data = AuditData(
        ids=[f"s{g:02}_{k}.png" for k, g in enumerate(owner)],
        X=X,
        hashes=np.arange(96, dtype=np.uint8)[:, None] * np.ones(32, np.uint8),
        labels=["a" if k % 2 else "b" for k in range(96)],
        groups=[None] * 96,
        splits=[None] * 96,
        looks=[Look(each) for each in grey],
    )
    return find_groups(data, standardise(X), AlikeSets(sets, []), seed=0)


def test_copies_join_groups_only_where_there_is_no_doubt() -> None:
    within = CopySet((0, 2), exact=False, similarity=0.97, difference=0.04)
    doubtful = CopySet((1, 90), exact=False, similarity=0.97, difference=0.04)
    certain = CopySet((8, 16), exact=False, similarity=0.99, difference=0.01)
    exact = CopySet((24, 32), exact=True, similarity=1.0)
    found = found_among_owners([within, doubtful, certain, exact])
    assert found.chosen is not None
    assert found.pictures is not None
    assert found.chosen.suggestion.n_groups == 12
    assert found.codes[1] != found.codes[90]
    assert found.codes[8] == found.codes[16]
    assert found.codes[24] == found.codes[32]
    assert len(np.unique(found.codes)) == 10
    joined = found.pictures.suggestion.codes
    assert joined[0] == joined[2]
    assert joined[1] != joined[90]
    assert found.pictures.sure == "likely"
    assert found_among_owners([certain]).taken[1].sure == "strong"
    assert found_among_owners([doubtful]).pictures is None


def test_effects_are_sentences_with_an_interval() -> None:
    effect = found_among_owners([]).taken[0].effect
    assert effect is not None
    assert effect["with"] - effect["without"] == pytest.approx(effect["difference"]["value"])
    assert re.search(r": [-+]?\d+\.\d points \[[-+]?\d+\.\d, [-+]?\d+\.\d\]\.$", effect["sentence"])
    assert not re.search(r"[-+]0\.0\b", effect["sentence"])
