"""One contract for every head and every sampler, found by file."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline

from featx.errors import UnknownNameError
from featx.fitting.candidates import check_params
from featx.heads import HEADS, Training, freeze
from featx.samplers import SAMPLERS
from tests.heads.heads_lab import reread


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 15, 8])
    X = (rng.normal(size=(3, 6))[y] * 1.5 + rng.normal(size=(63, 6))).astype(np.float32)
    return X, y


def grid_points(head):
    from sklearn.model_selection import ParameterGrid

    return list(ParameterGrid({**head.param_grid}))


def said(estimator, X):
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    return estimator.decision_function(X)


@pytest.mark.parametrize("name", HEADS.names())
class TestHead:
    def test_declares_itself(self, name):
        head = HEADS.get(name)
        assert head.name == name
        assert head.summary
        assert is_classifier(head.build(None, 0))
        assert type(head.build(None, 0)).__name__ == head.estimator

    def test_every_grid_point_is_a_valid_setting(self, name):
        head = HEADS.get(name)
        for params in grid_points(head):
            estimator = head.build(None, 0).set_params(**params)
            check_params(name, params)
            assert {k: estimator.get_params()[k] for k in params} == params

    def test_fits_and_is_deterministic(self, name, blobs):
        X, y = blobs
        head = HEADS.get(name)
        for params in (grid_points(head)[0], grid_points(head)[-1]):
            one, two = (
                clone(head.build(None, 0)).set_params(**head.limit(params, 63)).fit(X, y)
                for _ in range(2)
            )
            np.testing.assert_array_equal(said(one, X), said(two, X))
            assert said(one, X).shape == (63, 3)

    def test_predicts_where_its_score_is_largest(self, name, blobs):
        X, y = blobs
        labels = np.array(["a", "b", "c"])[y]
        fitted = HEADS.get(name).build(None, 0).fit(X, labels)
        expected = fitted.classes_[said(fitted, X).argmax(axis=1)]
        np.testing.assert_array_equal(fitted.predict(X), expected)

    def test_is_read_back_bit_by_bit(self, name, blobs):
        X, y = blobs
        labels = np.array(["a", "b", "c"])[y]
        fitted = Pipeline([("head", HEADS.get(name).build(None, 0))]).fit(X, labels)
        loaded = reread(fitted)
        assert loaded.head == name
        frozen = freeze(fitted)
        for method in ("predict", "predict_proba", "decision_function"):
            assert hasattr(loaded, method) == hasattr(frozen, method)
            if hasattr(frozen, method):
                expected = getattr(frozen, method)(X)
                np.testing.assert_array_equal(getattr(loaded, method)(X), expected)
        np.testing.assert_allclose(said(loaded.rebuild(), X), said(fitted, X), atol=1e-6)
        np.testing.assert_array_equal(loaded.rebuild().predict(X), fitted.predict(X))

    def test_class_weights_are_as_declared(self, name, blobs):
        X, y = blobs
        head = HEADS.get(name)
        plain, balanced = (head.build(w, 0).fit(X, y) for w in (None, "balanced"))
        assert ("class_weight" in plain.get_params()) == head.supports_class_weight
        differs = not np.array_equal(said(plain, X), said(balanced, X))
        assert differs == head.supports_class_weight

    def test_depends_on_the_seed_as_declared(self, name, blobs):
        X, y = blobs
        head = HEADS.get(name)
        params = head.limit(grid_points(head)[-1], len(X))
        refit = head.refit or (lambda training, made: made.fit(training.X, training.y))
        each = [
            said(refit(Training(X, y), head.build(None, seed).set_params(**params)), X)
            for seed in range(3)
        ]
        assert any((each[0] != e).any() for e in each) == head.seeded

    @pytest.mark.filterwarnings("ignore:Only one sample available")
    def test_few_images_are_enough(self, name):
        head = HEADS.get(name)
        X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 0.5]], np.float32)
        for params in grid_points(head):
            estimator = head.build(None, 0).set_params(**head.limit(params, 3))
            assert len(said(estimator.fit(X, [0, 1, 1]), X)) == 3


TINY = {
    "plain": (40, 15, 8),
    "few": (40, 15, 3),
    "pair": (40, 15, 2),
    "lonely": (40, 15, 1),
    "all equal": (10, 10, 10),
    "only the lonely": (40, 40, 1),
}


@pytest.mark.parametrize("counts", TINY.values(), ids=TINY)
@pytest.mark.parametrize("name", SAMPLERS.names())
def test_sampler_contract(name, counts):
    plugin = SAMPLERS.get(name)
    assert plugin.name == name
    assert plugin.summary
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], counts)
    X = (rng.normal(size=(3, 4))[y] + rng.normal(size=(len(y), 4))).astype(np.float32)
    table = dict(enumerate(counts))

    sampler = plugin.build(table, 0)
    if sampler is None:
        assert name == "none"
        return
    X1, y1 = sampler.fit_resample(X, y)
    X2, y2 = clone(plugin.build(table, 0)).fit_resample(X, y)
    np.testing.assert_array_equal(X1, X2)
    np.testing.assert_array_equal(y1, y2)
    assert X1.dtype == np.float32
    after = np.bincount(y1, minlength=3)
    if name in {"random-over", "random-under"}:
        assert len(set(after)) == 1
    if name == "smote":
        expected = [n if n == 1 else max(counts) for n in counts]
        np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize(
    "name", ["smote", "borderline-smote", "adasyn", "smote-enn", "smote-tomek"]
)
def test_clamped_neighbours_are_said(name):
    describe = SAMPLERS.get(name).describe
    assert describe({0: 40, 1: 6}) is None
    assert describe({0: 40, 1: 3}).startswith("interpolates between 2 instead of 5 neighbours")
    assert "single training image" in describe({0: 40, 1: 3, 2: 1})


def test_under_sampling_to_next_to_nothing_is_said():
    assert "keeps only 2 image(s)" in SAMPLERS.get("random-under").describe({0: 40, 1: 2})


@pytest.mark.parametrize(
    ("registry", "typo", "guess"), [(HEADS, "logregg", "logreg"), (SAMPLERS, "smot", "smote")]
)
def test_unknown_names_list_the_choices(registry, typo, guess):
    with pytest.raises(UnknownNameError, match=f"Choose from: .*\nDid you mean '{guess}'"):
        registry.get(typo)
