"""Groups found: what is closer than chance, numbers given anew, and copies across groups."""

from __future__ import annotations

import numpy as np

from featx.auditing.grouping import named_groups
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
