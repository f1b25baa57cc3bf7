"""Nearest rows, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.stats import similar
from featx.stats.similar import nearest_in, nearest_rows


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_it_is_what_sorting_all_gives(n: int, k: int, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    Q = (X[rng.integers(0, n, 3)] * 2).astype(np.float32)
    skip = rng.integers(-1, n, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similar, "BLOCK_ROWS", block)
        rows, found = nearest_rows(Q, X, k, skip=skip)
    unit = [Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (Q, X)]
    cosines = unit[0] @ unit[1].T
    assert rows.shape == found.shape == (3, min(k, n))
    for i, at in enumerate(skip.tolist()):
        others = np.delete(cosines[i], at) if at >= 0 else cosines[i]
        expected = np.sort(others)[::-1][:k]
        here = rows[i] >= 0
        assert here.sum() == min(k, len(others), n)
        assert found[i][here] == pytest.approx(expected, abs=1e-5)
        assert cosines[i, rows[i][here]] == pytest.approx(expected, abs=1e-5)
        assert len({*rows[i][here].tolist()} - {at}) == here.sum()


def test_of_equals_the_first_come_first() -> None:
    X = np.tile(np.array([[1.0, 2.0]]), (50, 1))
    rows, cosines = nearest_rows(X[:1], X, 7, skip=np.array([2]))
    assert rows.tolist() == [[0, 1, 3, 4, 5, 6, 7]]
    assert cosines == pytest.approx(1)


def test_blocks_are_read_once_and_too_few_rows_are_told() -> None:
    blocks = iter([np.eye(3)[:2], np.eye(3)[2:]])
    rows, cosines = nearest_in(np.array([[0.0, 1.0, 0.5]]), blocks, 4)
    assert rows.tolist() == [[1, 2, 0, -1]]
    assert np.isnan(cosines[0, 3])
    assert next(blocks, None) is None


def test_a_row_of_zeros_is_like_nothing() -> None:
    rows, cosines = nearest_rows(np.array([[1.0, 0.0]]), np.array([[0.0, 0.0], [-1.0, 0.0]]), 2)
    assert rows.tolist() == [[0, 1]]
    assert cosines.tolist() == [[0.0, -1.0]]
