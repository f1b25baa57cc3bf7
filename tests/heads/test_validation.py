"""Rows set aside to stop early are not made of rows that are trained on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.heads import Viewed
from featx.heads._validation import set_aside
from featx.samplers import SAMPLERS
from tests.heads.heads_lab import blobs


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    share=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 999),
)
def test_each_class_gives_its_share_and_keeps_the_rest(
    counts: list[int], share: float, seed: int
) -> None:
    X, y = blobs(counts, seed=seed)
    training, validation = set_aside(X, y, share, np.random.default_rng(seed))
    assert sorted([*training, *validation]) == list(range(len(y)))
    found = np.bincount(y[validation], minlength=len(counts))
    assert found.tolist() == [int(share * n) for n in counts]
    assert set(y[training]) == set(range(len(counts)))


def test_equal_rows_stay_together() -> None:
    X, y = blobs((30, 20))
    rows = np.random.default_rng(0).integers(0, 50, 400)
    training, validation = set_aside(X[rows], y[rows], 0.2, np.random.default_rng(0))
    assert len(validation) > 0
    assert not set(rows[training]) & set(rows[validation])


def test_mixtures_with_rows_set_aside_are_not_trained_on() -> None:
    X, y = blobs((60, 20, 3))
    sampler = SAMPLERS.get("smote").build({0: 60, 1: 20, 2: 3}, 0)
    more, labels = sampler.fit_resample(X, y)
    mixture = sampler.mixture_
    training, validation = set_aside(more, labels, 0.2, np.random.default_rng(0), mixture)
    assert validation.max() < len(y)  # images, not mixtures
    assert np.bincount(y[validation]).tolist() == [12, 4]
    used = mixture[training].toarray() != 0
    assert not used[:, validation].any()
    assert used[:, np.setdiff1d(np.arange(len(y)), validation)].any(axis=0).all()
    assert set(labels[training]) == {0, 1, 2}
    assert len(training) > len(y)  # mixtures of the others are


@pytest.mark.parametrize("counts", [(1, 1), (9, 9, 9)])
def test_small_classes_give_none(counts: tuple[int, ...]) -> None:
    X, y = blobs(counts)
    training, validation = set_aside(X, y, 0.1, np.random.default_rng(0))
    assert len(training) == len(y)
    assert len(validation) == 0


@pytest.mark.parametrize("sampler", ["none", "random-over", "random-under", "smote", "smote-tomek"])
def test_views_are_set_aside_with_their_image(sampler: str) -> None:
    X, y = blobs((60, 20))
    rng = np.random.default_rng(0)
    views = X[:, None] + rng.normal(0, 0.1, (80, 3, X.shape[1])).astype(np.float32)
    viewed = Viewed(np.concatenate([X, views.reshape(240, -1)]), 3)
    image = {row.tobytes(): i for row, i in zip(viewed.rows, viewed.images, strict=True)}
    assert [image[view.tobytes()] for view in views[7]] == [7, 7, 7]
    rows, labels = viewed.rows, np.append(y, np.repeat(y, 3))
    resampler = SAMPLERS.get(sampler).build({0: 240, 1: 80}, 0)
    if resampler is not None:
        rows, labels = resampler.fit_resample(rows, labels)
    mixture = getattr(resampler, "mixture_", None)

    def sides(viewed: Viewed | None) -> list[set[int]]:
        parts = set_aside(rows, labels, 0.2, np.random.default_rng(0), mixture, viewed)
        return [{image[r.tobytes()] for r in rows[p] if r.tobytes() in image} for p in parts]

    trained, validated = sides(viewed)
    assert len(validated) >= 0.1 * 80
    assert not trained & validated
    trained, validated = sides(None)  # without the word, views straddle
    assert trained & validated
