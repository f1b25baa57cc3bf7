"""Boosted trees: scikit-learn's own, bit by bit, from arrays that are followed safely."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils.estimator_checks import check_estimator

from featx.config import FitConfig
from featx.fitting import fit_heads
from featx.heads._boosting import BoostedTreesClassifier
from featx.heads._trees import MAX_DEPTH, TREES, scores
from featx.heads.hist_gradient_boosting import PLUGIN, limit
from tests.heads.heads_lab import blobs, data, pipeline, reread

QUICK: dict[str, Any] = {"max_iter": 8, "min_samples_leaf": 2, "random_state": 0}


def scores_of(head: BoostedTreesClassifier, X: np.ndarray) -> np.ndarray:
    """Scores before the softmax."""
    return np.asarray(scores(X, SimpleNamespace(**TREES.frozen(head)[0])))


def test_scikit_learns_checks_pass() -> None:
    reason = "bins are made of the rows as they are"
    expected = {"check_sample_weight_equivalence_on_dense_data": reason}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = BoostedTreesClassifier(max_iter=20, min_samples_leaf=2, random_state=0)
        check_estimator(head, expected_failed_checks=expected, on_skip=None)


@pytest.mark.parametrize("counts", [(60, 30), (50, 30, 20), (9,) * 12])
@pytest.mark.parametrize("params", [{}, {"max_features": 0.4, "max_leaf_nodes": 4}])
@pytest.mark.parametrize("rounded", [False, True])
def test_scores_are_scikit_learns(
    counts: tuple[int, ...], params: dict[str, Any], rounded: bool
) -> None:
    """``rounded`` embeddings have few values, and bins without any."""
    X, y = blobs(counts, distance=1.5)
    X = X.round(0) if rounded else X
    ours = BoostedTreesClassifier(
        max_iter=15, min_samples_leaf=3, random_state=0, validation_fraction=0, **params
    ).fit(X, y)
    theirs = HistGradientBoostingClassifier(
        max_iter=15, min_samples_leaf=3, l2_regularization=1.0, early_stopping=False,
        random_state=np.random.RandomState(0).randint(2**31), max_bins=32,
        **{"max_leaf_nodes": 15, **params},
    ).fit(X, y)  # fmt: skip
    others, _ = blobs(counts, distance=1.5, seed=1)
    expected = theirs.decision_function(others)
    assert scores_of(ours, others).reshape(expected.shape).tobytes() == expected.tobytes()
    np.testing.assert_allclose(ours.predict_proba(others), theirs.predict_proba(others), atol=1e-12)
    assert ours.predict(others).tolist() == theirs.predict(others).tolist()


def test_it_stops_when_it_learns_nothing_more() -> None:
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(200, 10)).astype(np.float32), rng.integers(0, 2, 200)
    stopped = BoostedTreesClassifier(n_iter_no_change=5, random_state=0).fit(X, noise)
    free = BoostedTreesClassifier(validation_fraction=0, random_state=0).fit(X, noise)
    assert stopped.n_iter_ < free.n_iter_ == 100
    assert len(stopped.roots_) == stopped.n_iter_


def test_weights_of_classes_are_weights_of_images() -> None:
    X, y = blobs((40, 10), distance=1.0)
    weights = np.where(y == 1, 4.0, 1.0)
    plain, weighted, balanced = (
        BoostedTreesClassifier(**QUICK, class_weight=c).fit(X, y, sample_weight=w)
        for c, w in ((None, None), (None, weights), ("balanced", None))
    )
    assert weighted.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.02
    # only up to a factor: class weights have mean 1, and l2_regularization does not follow
    np.testing.assert_allclose(balanced.baseline_, weighted.baseline_, atol=0.1)


def test_few_images_have_small_leaves_unless_asked_for() -> None:
    assert limit({}, 60) == {"min_samples_leaf": 3}
    assert limit({}, 5) == {"min_samples_leaf": 1}
    assert limit({}, 5000) == {"min_samples_leaf": 10}
    assert limit({"min_samples_leaf": 7}, 60) == {"min_samples_leaf": 7}


@pytest.mark.parametrize("n_classes", [2, 3, 12])
def test_saved_trees_say_the_same(n_classes: int) -> None:
    X, y = blobs([20] * n_classes)
    fitted = pipeline(BoostedTreesClassifier(**QUICK), X, y)
    loaded = reread(fitted)
    for dtype in (np.float32, np.float64):
        expected = fitted.predict_proba(X.astype(dtype))
        assert loaded.predict_proba(X.astype(dtype)).tobytes() == expected.tobytes()
        assert loaded.rebuild().predict_proba(X.astype(dtype)).tobytes() == expected.tobytes()
    assert loaded.predict(X).tolist() == fitted.predict(X).tolist()


def chain(depth: int) -> str | None:
    """What is wrong with one tree that goes right ``depth`` times."""
    inner, leaf = np.arange(depth), 2 * depth
    left, right = np.arange(leaf + 1), np.arange(leaf + 1)
    left[:depth] = depth + inner
    right[:depth] = np.append(inner[1:], leaf)
    zeros = np.zeros(leaf + 1)
    arrays = {"feature": left * 0, "threshold": zeros, "left": left, "right": right}
    arrays |= {"value": zeros, "roots": np.zeros(1, int), "baseline": np.zeros(1)}
    return TREES.fault(arrays, {}, 3, 2)


def test_trees_deeper_than_any_fitted_are_refused() -> None:
    assert chain(MAX_DEPTH) is None
    assert chain(MAX_DEPTH + 1) == "its arrays contradict each other"


def test_no_tree_at_all_is_the_baseline() -> None:
    fitted = pipeline(BoostedTreesClassifier(**QUICK), *blobs((20, 20, 20)))
    fitted[-1].roots_ = fitted[-1].roots_[:0]
    proba = reread(fitted).predict_proba(np.zeros((2, 8), np.float32))
    np.testing.assert_allclose(proba, 1 / 3)


def test_a_whole_fit_does_not_depend_on_jobs() -> None:
    """With a class that is missing from folds, and SMOTE."""
    options: dict[str, Any] = {
        "head": [PLUGIN.name], "sampler": ["smote"], "cv": 3, "estimate": "cv",
        "param_grid": {PLUGIN.name: {"max_iter": [6], "max_leaf_nodes": [3, 7]}},
    }  # fmt: skip
    one, two = (fit_heads(data((30, 14, 1)), FitConfig(**options, jobs=jobs)) for jobs in (1, 3))
    assert [c.fold_scores for c in one.candidates] == [c.fold_scores for c in two.candidates]
    assert one.pipeline[-1].value_.tobytes() == two.pipeline[-1].value_.tobytes()
    assert all(c.status == "ok" for c in one.candidates)
    held = one.held[0]
    np.testing.assert_array_equal(held.proba[held.part.y == 2][:, 2], 0)
