"""Folds: what must stay together does, and classes are spread as evenly as they can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.data.splits import hash_codes, link_components, make_folds
from featx.errors import FitError

CODES = st.lists(st.integers(0, 8), min_size=1, max_size=40)


def classes_of(y):
    return [f"c{c}" for c in range(max(y) + 1)]


def together_by_search(*codes):
    """Which pairs are linked, by closing the relation step by step."""
    linked = np.zeros((len(codes[0]),) * 2, dtype=bool)
    for code in codes:
        linked |= np.equal.outer(code, code)
    while not np.array_equal(linked, wider := (linked @ linked)):
        linked = wider
    return linked


@given(
    st.integers(1, 15).flatmap(
        lambda n: st.tuples(*[st.lists(st.integers(0, 6), min_size=n, max_size=n)] * 2)
    )
)
def test_components_are_the_transitive_closure(codes):
    a, b = (np.array(c) for c in codes)
    components = link_components(a, b)
    np.testing.assert_array_equal(np.equal.outer(components, components), together_by_search(a, b))
    assert set(components) == set(range(components.max() + 1))


def test_a_copy_in_two_groups_joins_the_groups():
    groups = np.array([0, 0, 1, 1, 2])
    copies = np.array([0, 1, 1, 2, 3])  # rows 1 and 2 are one image in groups 0 and 1
    np.testing.assert_array_equal(link_components(groups, copies), [0, 0, 0, 0, 1])


def test_pairs_join_components_and_numbers_follow_the_first_appearance():
    codes = np.array([7, 3, 7, 1, 0, 9])
    np.testing.assert_array_equal(link_components(codes), [0, 1, 0, 2, 3, 4])
    joined = link_components(codes, pairs=np.array([[4, 3], [3, 5]]))
    np.testing.assert_array_equal(joined, [0, 1, 0, 2, 2, 2])
    assert len(link_components(np.empty(0, np.int64))) == 0


def test_equal_hashes_get_equal_codes():
    hashes = np.zeros((4, 32), np.uint8)
    hashes[1, 31] = hashes[3, 31] = 1
    codes = hash_codes(hashes)
    assert codes[0] == codes[2] != codes[1] == codes[3]


@given(st.lists(st.integers(0, 3), min_size=8, max_size=60), st.integers(2, 6), st.integers(0, 99))
def test_lone_images_are_stratified_exactly(y, n_folds, seed):
    y = np.array(y)
    try:
        folds = make_folds(y, np.arange(len(y)), classes_of(y), n_folds=n_folds, seed=seed)
    except (FitError, IndexError):
        assert sorted(np.bincount(y))[-2:-1] in ([], [0], [1])
        return
    for c in set(y):
        per_fold = np.bincount(folds.fold[y == c], minlength=folds.n_folds)
        assert per_fold.max() - per_fold.min() <= 1
    sizes = np.bincount(folds.fold, minlength=folds.n_folds)
    assert sizes.min() > 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 15)), min_size=10, max_size=80),
    st.integers(0, 99),
)
def test_components_never_straddle_folds(rows, seed):
    y, groups = np.array(rows).T
    y = np.unique(y, return_inverse=True)[1]
    components = link_components(groups)
    try:
        folds = make_folds(y, components, classes_of(y), n_folds=5, seed=seed)
    except (FitError, IndexError):
        return
    for component in set(components):
        assert len(set(folds.fold[components == component])) == 1
    assert set(folds.fold) <= set(range(folds.n_folds))


def test_folds_depend_on_the_seed_only():
    y, components = np.repeat([0, 1], 50), np.arange(100)
    folds = [make_folds(y, components, ["a", "b"], n_folds=5, seed=s).fold for s in (0, 0, 1)]
    np.testing.assert_array_equal(folds[0], folds[1])
    assert (folds[0] != folds[2]).any()


def test_a_tiny_class_does_not_cost_the_others_their_folds():
    y = np.repeat([0, 1, 2, 3, 4], [207, 88, 33, 20, 3])
    names = ["Neutrophil", "Eosinophil", "Lymphocyte", "Monocyte", "Basophil"]
    folds = make_folds(y, np.arange(len(y)), names, n_folds=5, seed=0)
    assert folds.n_folds == 5
    assert folds.notes == (
        "Fewer separate images or groups than the 5 folds, so missing from some folds' scores: "
        "Basophil (3 images).",
    )


def test_folds_are_reduced_so_that_each_can_test_two_classes():
    y = np.repeat([0, 1], [40, 3])
    folds = make_folds(y, np.arange(43), ["a", "b"], n_folds=5, seed=0)
    assert folds.n_folds == 3
    assert set(folds.fold[y == 1]) == {0, 1, 2}
    assert folds.notes[0].startswith("3 folds instead of 5")


def test_a_class_in_one_place_is_named():
    y = np.repeat([0, 1, 2], [10, 10, 1])
    folds = make_folds(y, np.arange(21), ["a", "b", "lonely"], n_folds=5, seed=0)
    assert "lonely (1 image)" in folds.notes[-1]
    assert "never trained on while tested" in folds.notes[-1]


def test_classes_that_coincide_with_groups_are_refused_with_counts():
    y = np.repeat([0, 1], [30, 20])
    with pytest.raises(FitError, match=r"a 30, b 20.*form 2 separate.*a 1, b 1"):
        make_folds(y, y.copy(), ["a", "b"], n_folds=5, seed=0)


def test_groups_are_balanced_like_scikit_learn_balances_them():
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 3000)
    y = (rng.random(3000) < rng.random(60)[groups]).astype(int)

    def unevenness(fold):
        table = np.array([np.bincount(y[fold == f], minlength=2) for f in range(5)])
        return (table / table.sum(axis=0)).std(axis=0).mean()

    ours = make_folds(y, link_components(groups), ["a", "b"], n_folds=5, seed=0).fold
    theirs = np.zeros(3000, int)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for f, (_, test) in enumerate(splitter.split(y, y, groups)):
        theirs[test] = f
    assert unevenness(ours) <= 1.5 * unevenness(theirs)
    assert unevenness(ours) < 0.02
