"""Nested subsets: components whole, every class there, classes in proportion."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from featx.data.subsets import joining_order


@st.composite
def labelled(draw) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 40))
    y = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    components = draw(st.lists(st.integers(0, draw(st.integers(0, 39))), min_size=n, max_size=n))
    return np.array(y), np.array(components)


@given(labelled(), st.integers(0, 99))
def test_subsets_are_nested_whole_and_complete(data, seed) -> None:
    y, components = data
    joining = joining_order(y, components, seed=seed)
    smaller: set[int] = set()
    for size in range(1, len(y) + 1):
        rows = joining.subset(size)
        assert len(np.unique(rows)) == len(rows)
        assert smaller <= set(rows.tolist())
        assert not np.isin(components[rows], np.delete(components, rows)).any()
        assert set(y[rows]) == set(y)
        smaller = set(rows.tolist())
    assert len(smaller) == len(y)


def test_images_that_stand_alone_are_in_proportion() -> None:
    y = np.repeat([0, 1, 2], [600, 300, 100])
    joining = joining_order(y, np.arange(1000), seed=3)
    for size in (50, 100, 333, 700):
        rows = joining.subset(size)
        assert len(rows) == size
        assert np.abs(np.bincount(y[rows]) - size * np.array([0.6, 0.3, 0.1])).max() <= 2


def test_a_rare_class_is_in_the_smallest_subset() -> None:
    y = np.repeat([0, 1], [997, 3])
    for seed in range(20):
        assert 1 in y[joining_order(y, np.arange(1000), seed=seed).subset(1)]


def test_the_subset_is_the_nearest_that_cuts_no_group() -> None:
    y, groups = np.tile([0, 1], 30), np.repeat(np.arange(6), 10)
    joining = joining_order(y, groups, seed=0)
    assert [len(joining.subset(size)) for size in (1, 14, 16, 44, 60)] == [10, 10, 20, 40, 60]


def test_large_and_small_groups_are_as_likely_to_come_first() -> None:
    """Else small subsets would be of many small groups, and the curve would be of another kind."""
    y, groups = np.zeros(30, int), np.repeat([0, 1, 2], [20, 5, 5])
    first = [groups[joining_order(y, groups, seed=seed).images[0]] for seed in range(600)]
    assert np.abs(np.bincount(first) / 600 - 1 / 3).max() < 0.08


def test_draws_differ_by_seed_alone() -> None:
    y = np.tile([0, 1], 50)
    one, again, other = (joining_order(y, np.arange(100), seed=s).images for s in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()
