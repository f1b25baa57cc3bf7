"""Rows set aside to stop early are not made of rows that are trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.config import FitConfig
from featx.fitting import fit_heads
from featx.heads import Units
from featx.heads._validation import set_aside
from featx.samplers import SAMPLERS
from tests.heads.heads_lab import blobs, data


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
    numbers = np.append(np.arange(80), np.repeat(np.arange(80), 3))
    units = Units(np.concatenate([X, views.reshape(240, -1)]), numbers)
    image = {row.tobytes(): i for row, i in zip(units.rows, units.number, strict=True)}
    assert [image[view.tobytes()] for view in views[7]] == [7, 7, 7]
    rows, labels = units.rows, np.append(y, np.repeat(y, 3))
    resampler = SAMPLERS.get(sampler).build({0: 240, 1: 80}, 0)
    if resampler is not None:
        rows, labels = resampler.fit_resample(rows, labels)
    mixture = getattr(resampler, "mixture_", None)

    def sides(units: Units | None) -> list[set[int]]:
        parts = set_aside(rows, labels, 0.2, np.random.default_rng(0), mixture, units)
        return [{image[r.tobytes()] for r in rows[p] if r.tobytes() in image} for p in parts]

    trained, validated = sides(units)
    assert len(validated) >= 0.1 * 80
    assert not trained & validated
    trained, validated = sides(None)  # without the word, views straddle
    assert trained & validated


@settings(max_examples=60, deadline=None)
@given(
    n_groups=st.integers(2, 60),
    n_classes=st.integers(2, 4),
    share=st.sampled_from([0.1, 0.4]),
    seed=st.integers(0, 999),
)
def test_groups_stay_together_and_every_class_stays(
    n_groups: int, n_classes: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    y = np.append(np.arange(n_classes), rng.integers(0, n_classes, 200))
    groups = rng.integers(0, n_groups, len(y))
    X = rng.normal(size=(len(y), 3)).astype(np.float32)
    training, validation = set_aside(X, y, share, rng, units=Units(X, groups))
    assert sorted([*training, *validation]) == list(range(len(y)))
    assert not set(groups[training]) & set(groups[validation])
    assert set(y[training]) == set(range(n_classes))


def test_groups_of_all_classes_give_one_share_in_all() -> None:
    y, groups = np.tile([0, 1, 2, 3], 30), np.repeat(np.arange(30), 4)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2)).astype(np.float32)
    _, validation = set_aside(X, y, 0.1, rng, units=Units(X, groups))
    assert len(set(groups[validation])) == 3


@pytest.mark.parametrize("head", ["mlp", "hist-gradient-boosting"])
@pytest.mark.parametrize("sampler", ["none", "smote", "random-over", "smote-tomek"])
def test_in_a_fit_nothing_of_a_watched_group_is_trained_on(
    monkeypatch: pytest.MonkeyPatch, head: str, sampler: str
) -> None:
    """The first feature tells the group. (What ignores groups on purpose is left aside.)"""
    made = data((60, 36), distance=1.0)
    group = np.arange(96) % 24
    made.groups = np.array([f"g{g:02}" for g in group])
    made.X["net"][:, 0] = 3 * group
    seen = []

    def spy(X: np.ndarray, y: np.ndarray, *rest: Any) -> Any:
        parts = set_aside(X, y, *rest)
        trained, watched = (set(X[part, 0].round(4).tolist()) for part in parts)
        if len(set(rest[-1].number)) <= 24:
            seen.append((len(watched), len(trained & watched)))
        return parts

    module = "_mlp" if head == "mlp" else "_boosting"
    monkeypatch.setattr(f"featx.heads.{module}.set_aside", spy)
    quick = {"mlp": {"epochs": [1]}, "hist-gradient-boosting": {"max_iter": [1]}}
    config = FitConfig(
        head=[head], sampler=[sampler], cv=3, estimate="cv", param_grid={head: quick[head]}
    )
    fit_heads(made, config)
    assert len(seen) >= 4
    assert all(watched for watched, _ in seen)
    assert not any(both for _, both in seen)
