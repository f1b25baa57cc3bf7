"""Adaptive prediction sets: known answers, coverage, and how they differ from the smallest ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fit_lab import make_data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from featx.artifact.conformity import conformities
from featx.artifact.trust import PredictionSets
from featx.config import FitConfig
from featx.fitting import fit_heads
from featx.stats.conformal import set_thresholds

METHODS = ["lac", "aps", "raps"]


def draw(n: int, rng: np.random.Generator, n_classes: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the probabilities: of half the images sharp, of half nearly even."""
    z = rng.normal(size=(n, n_classes)) * np.where(rng.random(n) < 0.5, 4.0, 0.7)[:, None]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return (rng.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, n_classes - 1), p


def sets_of(method: str, y: np.ndarray, p: np.ndarray, coverage: float) -> PredictionSets:
    limits = set_thresholds(y, conformities(method, p), coverage=coverage)
    return PredictionSets(
        coverage=coverage, over="images", thresholds=limits.tolist(), method=method
    )


def test_known_answers() -> None:
    p = np.array([[0.5, 0.125, 0.25, 0.125], [0.25, 0.25, 0.25, 0.25]])
    assert conformities("lac", p) is p
    assert conformities("aps", p).tolist() == [[1, 0.25, 0.5, 0.125], [1, 0.75, 0.5, 0.25]]
    many = np.full((1, 8), 0.125)
    penalty = 0.01 * np.maximum(np.arange(1, 9) - 5, 0)
    assert conformities("raps", many)[0] == pytest.approx(1 - np.arange(8) / 8 - penalty)


@given(st.integers(0, 10**6), st.sampled_from(METHODS), st.integers(2, 9))
@settings(max_examples=40)
def test_likelier_classes_conform_better(seed: int, method: str, n_classes: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(n_classes), 20)
    found = conformities(method, p)
    assert found.shape == p.shape
    assert ((found >= 0) & (found <= 1)).all()
    order = np.argsort(-p, axis=1)
    assert (np.diff(np.take_along_axis(found, order, axis=1), axis=1) <= 0).all()
    if method != "lac":
        assert (found.max(axis=1) == 1).all()


@pytest.mark.parametrize("method", ["aps", "raps"])
@pytest.mark.parametrize("coverage", [0.7, 0.9])
def test_sets_cover_as_often_as_stated(method: str, coverage: float) -> None:
    covered, of = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        (y, p), (y_new, p_new) = draw(150, rng), draw(60, rng)
        inside = sets_of(method, y, p, coverage).sets(p_new, p_new.argmax(axis=1))
        covered += int(inside[np.arange(60), y_new].sum())
        of += 60
    # images of one draw share their thresholds: as if each draw were 10 independent images
    assert covered / of >= binom.ppf(1e-4, 600, coverage) / 600


def test_hard_images_are_covered_as_well_as_easy_ones() -> None:
    """The point of them: the smallest sets save on images that the classifier is unsure of."""
    rng = np.random.default_rng(0)
    (y, p), (y_new, p_new) = draw(4000, rng), draw(6000, rng)
    hard = p_new.max(axis=1) < 0.5
    gaps, sizes = {}, {}
    for method in METHODS:
        inside = sets_of(method, y, p, 0.9).sets(p_new, p_new.argmax(axis=1))
        covered = inside[np.arange(len(y_new)), y_new]
        gaps[method] = abs(covered[hard].mean() - covered[~hard].mean())
        sizes[method] = inside.sum(axis=1)
    assert gaps["aps"] < 0.8 * gaps["lac"]
    assert sizes["lac"].mean() < sizes["aps"].mean()
    assert sizes["raps"].max() <= sizes["aps"].max()


def test_the_likeliest_class_alone_is_no_reason_to_abstain() -> None:
    """Unlike with the smallest sets, a classifier that is nearly always right hardly abstains."""
    data = make_data([60, 60], distance=4.0)
    config = {"cv": 4, "estimate": "cv", "coverage": 0.5, "param_grid": {"logreg": {"C": [0.01]}}}
    found = {}
    for method in METHODS:
        result = fit_heads(data, FitConfig(**config, sets=method))
        assert result.trust.trust.sets.method == method
        assert result.trust.document["prediction_sets"]["method"] == method
        found[method] = result.trust.document["prediction_sets"]["abstained"]["value"]
    assert found["lac"] > 0.4
    assert found["aps"] == found["raps"] == 0


def test_sets_of_an_older_model_are_the_smallest_ones() -> None:
    old = {"coverage": 0.9, "over": "images", "thresholds": [0.5, 0.5]}
    sets = PredictionSets.model_validate_json(json.dumps(old))
    assert sets.method == "lac"
    assert sets.sets(np.array([[0.6, 0.4]]), np.array([0])).tolist() == [[True, False]]
