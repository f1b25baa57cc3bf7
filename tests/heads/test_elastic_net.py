"""Elastic nets are at the optimum, which is saga's, whatever else is solved beside them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.utils.class_weight import compute_sample_weight

from featx.config import FitConfig
from featx.fitting import fit_heads
from featx.heads import Training
from featx.heads.elastic_net import PLUGIN, build, refit, score_grid
from featx.samplers import SAMPLERS
from tests.heads.heads_lab import blobs, data


def scaled(counts: tuple[int, ...], **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Correlated, standardised embeddings."""
    X, y = blobs(counts, n_features=30, distance=2.0, **options)
    X = X @ np.random.default_rng(9).normal(size=(30, 30)).astype(np.float32)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def subgradient(head: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Largest entry of the smallest subgradient of the mean objective, by the book."""
    weights = compute_sample_weight(head.class_weight, y)
    coef, X = head.coef_.astype(np.float64), X.astype(np.float64)
    Z = X @ coef.T + head.intercept_
    Z = np.hstack([np.zeros_like(Z), Z]) if len(head.classes_) == 2 else Z
    P = np.exp(Z - Z.max(axis=1, keepdims=True))
    P = P / P.sum(axis=1, keepdims=True) - (y[:, None] == head.classes_)
    P = (P[:, 1:] if len(head.classes_) == 2 else P) * weights[:, None] / weights.sum()
    strength = 1 / (head.C * weights.sum())
    l1, l2 = head.l1_ratio * strength, (1 - head.l1_ratio) * strength
    smooth = P.T @ X + l2 * coef
    at_zero = np.maximum(np.abs(smooth) - l1, 0)
    excess = np.where(coef == 0, at_zero, np.abs(smooth + l1 * np.sign(coef)))
    return float(max(excess.max(), np.abs(P.sum(axis=0)).max()))


@pytest.mark.parametrize("counts", [(40, 25), (40, 25, 10), (15,) * 8, (4, 3, 1)])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_every_point_of_a_grid_is_an_optimum(
    counts: tuple[int, ...], l1_ratio: float, class_weight: str | None
) -> None:
    X, y = scaled(counts)
    heads = [
        build(class_weight, 0).set_params(C=C, l1_ratio=l1_ratio, tol=1e-6)
        for C in (1e-3, 1.0, 0.05)
    ]
    scored = list(score_grid(Training(X, y), heads, [X]) or [])
    for head, (outputs, stopped) in zip(heads, scored, strict=True):
        assert not stopped
        assert subgradient(head, X, y) < 2e-6
        assert head.coef_.dtype == np.float32
        np.testing.assert_array_equal(outputs[0], head.predict_proba(X))


@pytest.mark.parametrize("counts", [(40, 25), (30, 20, 10)])
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize("C", [0.1, 0.5])  # with no coefficient in use saga stops too soon
def test_it_is_where_saga_goes(counts: tuple[int, ...], l1_ratio: float, C: float) -> None:
    X, y = scaled(counts)
    ours = refit(Training(X, y), build(None, 0).set_params(C=C, l1_ratio=l1_ratio, tol=1e-7))
    saga = build(None, 0).set_params(C=C, l1_ratio=l1_ratio, tol=1e-9, max_iter=20_000)
    saga.fit(X.astype(np.float64), y)
    np.testing.assert_allclose(ours.coef_, saga.coef_, atol=2e-4)
    np.testing.assert_allclose(ours.intercept_, saga.intercept_ - _shift(saga, ours), atol=2e-4)
    np.testing.assert_allclose(
        ours.predict_proba(X), saga.predict_proba(X.astype(np.float64)), atol=2e-4
    )


def _shift(one: Any, two: Any) -> float:
    """Intercepts of several classes are free up to what all of them share."""
    return float((one.intercept_ - two.intercept_).mean()) if len(one.intercept_) > 1 else 0.0


def test_a_strong_penalty_leaves_every_feature_out() -> None:
    X, y = scaled((30, 20, 10))
    head = refit(Training(X, y), build(None, 0).set_params(C=1e-4, l1_ratio=1.0, tol=1e-7))
    assert not head.coef_.any()
    np.testing.assert_allclose(head.predict_proba(X[:1])[0], [1 / 2, 1 / 3, 1 / 6], atol=1e-5)


def test_mixtures_are_rows_like_any_other() -> None:
    X, y = scaled((50, 20, 6))
    sampler = SAMPLERS.get("smote").build({0: 50, 1: 20, 2: 6}, 0)
    more, labels = sampler.fit_resample(X, y)
    options = {"C": 0.1, "tol": 1e-7}
    plain = refit(Training(more, labels), build(None, 0).set_params(**options))
    mixed = refit(
        Training(more, labels, X, csr_array(sampler.mixture_)), build(None, 0).set_params(**options)
    )
    np.testing.assert_allclose(mixed.coef_, plain.coef_, atol=1e-4)


def test_what_is_not_plain_is_left_to_saga() -> None:
    X, y = scaled((20, 20))
    head = build(None, 0).set_params(fit_intercept=False)
    assert score_grid(Training(X, y), [head], [X]) is None
    assert not refit(Training(X, y), head).intercept_.any()
    assert head.n_iter_.max() > 1


def test_a_fit_that_does_not_get_there_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featx.heads._elastic.ROUNDS", 1)
    grid = {"elastic-net": {"C": [0.1]}}
    config = FitConfig(head=["elastic-net"], param_grid=grid, cv=3, estimate="cv")
    result = fit_heads(data((15, 12)), config)
    assert any("iteration limit" in n for n in [*result.notes, *result.chosen.notes])


def test_a_whole_fit_leaves_useless_features_out() -> None:
    """Only 4 of 60 features tell the classes apart; a class is missing from folds."""
    made = data((60, 40, 1), n_features=60, distance=0.0)
    made.X["net"][:, :4] += np.where(made.y == "c1", 2.0, 0.0).astype(np.float32)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit_heads(made, FitConfig(head=["elastic-net"], cv=3, estimate="cv"))
    used = np.flatnonzero(result.pipeline[-1].coef_.any(axis=0))
    assert set(range(4)) <= set(used)
    assert len(used) < 40
    assert result.pipeline[-1].get_params()["solver"] == "saga"
    assert result.estimate["metrics"]["accuracy"]["value"] > 0.9
    assert {"C", "l1_ratio"} == set(PLUGIN.param_grid)
