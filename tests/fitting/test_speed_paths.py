"""Shared work changes nothing: grids scored together equal classifiers fitted one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fit_lab import make_data, part_of
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE
from pydantic import ValidationError
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from featx.config import FitConfig
from featx.errors import UsageError
from featx.fitting import check_config, fit_heads, foreseen
from featx.fitting.candidates import Setup, Trial
from featx.fitting.training import prepare, project
from featx.heads import HEADS, Memo, Training, _kernel, _logistic
from featx.samplers import SAMPLERS

PENALTIES = [1e-4, 1e-2, 1.0, 100.0]


def training_of(counts, *, n_features=12, sampler="none", seed=0, distance=3.0, spoil=None):
    """A training part and other embeddings, scaled and resampled as in a search."""
    data = make_data(counts, n_features=n_features, seed=seed, distance=distance)
    X = data.X["net"]
    if spoil is not None:
        spoil(X)
    part = part_of(data)
    trial = Trial(Setup(("net",), "logreg", sampler, "none"), ())
    ready = prepare(project(part, np.ones(len(X), bool), trial, seed=0), trial, seed=0)
    others = np.random.default_rng(seed + 1).normal(size=(40, n_features)).astype(np.float32)
    return ready.training, others


def log_loss_gradient(training, classifier):
    """Largest entry of the gradient that scikit-learn's ``tol`` bounds, computed afresh."""
    X, y = training.X.astype(np.float64), training.y
    weights = np.ones(len(y))
    if classifier.class_weight == "balanced":
        weights = len(y) / (len(np.unique(y)) * np.bincount(y)[y].astype(float))
    weights /= weights.sum()
    P = classifier.predict_proba(X)
    R = weights[:, None] * (P - (y[:, None] == classifier.classes_))
    R = R[:, 1:] if P.shape[1] == 2 else R
    G = R.T @ X + classifier.coef_ / (classifier.C * len(y))
    return max(np.abs(G).max(), np.abs(R.sum(axis=0)).max())


CASES = {
    "several classes": {"counts": [40, 25, 12]},
    "two classes": {"counts": [40, 20]},
    "fewer images than features": {"counts": [12, 8, 6], "n_features": 60},
    "SMOTE": {"counts": [40, 25, 12], "sampler": "smote"},
    "SMOTE, fewer images than features": {
        "counts": [14, 8, 6],
        "n_features": 60,
        "sampler": "smote",
    },
    "SMOTE, two classes": {"counts": [40, 12], "sampler": "smote"},
    "a constant feature": {"counts": [30, 20], "spoil": lambda X: X[:, 3].fill(7.0)},
    "equal rows": {"counts": [20, 20], "spoil": lambda X: X[1:9].fill(0.5)},
}


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("case", CASES)
def test_logistic_regressions_on_one_path_equal_each_alone(case, class_weight):
    training, others = training_of(**CASES[case])
    make = HEADS.get("logreg").build
    grid = [make(class_weight, 0).set_params(C=C, tol=1e-7) for C in PENALTIES]
    together = list(HEADS.get("logreg").score_grid(training, grid, [others]))
    for C, scored in zip(PENALTIES, together, strict=True):
        alone = LogisticRegression(C=C, class_weight=class_weight, tol=1e-9, max_iter=10_000)
        alone.fit(training.X.astype(np.float64), training.y)
        np.testing.assert_allclose(scored.outputs[0], alone.predict_proba(others), atol=2e-3)
        assert not scored.stopped_early


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("device", ["cpu:0", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_products_by_torch_give_the_same_logistic_regressions(device, case, class_weight):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    training, others = training_of(**CASES[case])
    grid = [
        LogisticRegression(C=C, tol=1e-6, max_iter=2000, class_weight=class_weight)
        for C in PENALTIES
    ]
    there = [clone(c) for c in grid]
    expected = list(HEADS.get("logreg").score_grid(training, grid, [others]))
    elsewhere = replace(training, device=device, memo=Memo())
    found = list(HEADS.get("logreg").score_grid(elsewhere, there, [others]))
    for classifier, ours, plain in zip(there, found, expected, strict=True):
        assert not hasattr(classifier, "n_iter_")  # it was solved on the path
        assert log_loss_gradient(training, classifier) < 1.2e-6
        np.testing.assert_allclose(ours.outputs[0], plain.outputs[0], atol=2e-3)


@pytest.mark.parametrize("sampler", ["none", "smote"])
def test_a_search_with_products_by_torch_finds_the_same(monkeypatch, sampler):
    asked = []
    monkeypatch.setattr(foreseen, "choose", lambda *given: asked.append(given))
    config = FitConfig(sampler=[sampler], cv=3, estimate="cv", learning_curve=True, jobs=2)
    data = make_data([40, 25, 12], n_features=12, distance=3.0)
    plain = fit_heads(data, config)
    there = fit_heads(data, config.model_copy(update={"search_device": "cpu:0"}))
    assert asked == [("torch", "cpu", "fp32"), ("torch", "cpu:0", "fp32")]
    assert there.chosen.params == plain.chosen.params
    for ours, theirs in zip(there.candidates, plain.candidates, strict=True):
        for p, q in zip(ours.grid, theirs.grid, strict=True):
            assert p["cv_mean"] == pytest.approx(q["cv_mean"], abs=0.02)
    coef = [r.pipeline.named_steps["head"].coef_ for r in (there, plain)]
    np.testing.assert_allclose(*coef, atol=1e-2)


@pytest.mark.parametrize("device", ["tpu", "auto", "cuda:x", "cuda:99"])
def test_a_search_device_that_is_not_there_is_refused(device):
    with pytest.raises((ValidationError, UsageError), match=r"search_device|'cuda:99'"):
        check_config(FitConfig(search_device=device))


def test_features_too_many_for_principal_axes_are_solved_as_they_are(monkeypatch):
    monkeypatch.setattr(_logistic, "WIDEST", 5)
    X = np.random.default_rng(0).normal(size=(20, 7)).astype(np.float32)
    assert _logistic.Axes(X).X is X  # no other coordinates
    test_logistic_regressions_on_one_path_equal_each_alone("SMOTE", "balanced")


@pytest.mark.parametrize("tol", [1e-4, 1e-6])
@pytest.mark.parametrize("case", ["several classes", "two classes", "SMOTE"])
def test_a_solution_meets_the_tolerance_that_was_asked_for(case, tol):
    training, others = training_of(**CASES[case])
    grid = [LogisticRegression(C=C, tol=tol, max_iter=2000) for C in PENALTIES]
    list(HEADS.get("logreg").score_grid(training, grid, [others]))
    for classifier in grid:
        assert log_loss_gradient(training, classifier) <= 1.2 * tol


def test_the_refit_is_scikit_learns_own_and_starts_cold_again():
    training, others = training_of([40, 25, 12])
    plain = LogisticRegression(C=0.1, max_iter=2000)
    fitted = HEADS.get("logreg").refit(
        training, HEADS.get("logreg").build(None, 0).set_params(C=0.1)
    )
    assert fitted.get_params() == plain.get_params()
    assert set(vars(fitted)) == set(vars(plain.fit(training.X, training.y)))
    assert log_loss_gradient(training, fitted) <= 1.2e-4
    np.testing.assert_allclose(fitted.predict_proba(others), plain.predict_proba(others), atol=0.01)


def test_what_the_path_does_not_solve_is_left_to_scikit_learn(monkeypatch):
    training, others = training_of([40, 25, 12])
    grid = [LogisticRegression(C=C, max_iter=2000) for C in PENALTIES]
    monkeypatch.setattr(_logistic, "ROUNDS", 1)
    monkeypatch.setattr(_logistic, "FIRST_ITERATIONS", 1)
    monkeypatch.setattr(_logistic, "ITERATIONS", 1)
    said = [s.outputs[0] for s in HEADS.get("logreg").score_grid(training, grid, [others])]
    for C, outputs in zip(PENALTIES, said, strict=True):
        alone = LogisticRegression(C=C, max_iter=2000).fit(training.X, training.y)
        np.testing.assert_array_equal(outputs, alone.predict_proba(others))


@pytest.mark.parametrize("changed", [{"fit_intercept": False}, {"max_iter": 7}, {"solver": "sag"}])
def test_other_logistic_regressions_are_not_taken(changed):
    training, others = training_of([40, 25])
    classifier = LogisticRegression(**{"max_iter": 2000, **changed})
    assert HEADS.get("logreg").score_grid(training, [classifier], [others]) is None


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.integers(2, 25), min_size=2, max_size=5),
    n_features=st.integers(1, 40),
    C=st.sampled_from([1e-3, 1e-1, 10.0]),
    distance=st.floats(0.0, 6.0),
    sampler=st.sampled_from(["none", "smote"]),
    seed=st.integers(0, 5),
)
def test_any_logistic_regression_reaches_the_optimum(
    counts, n_features, C, distance, sampler, seed
):
    training, others = training_of(
        counts, n_features=n_features, sampler=sampler, seed=seed, distance=distance
    )
    classifier = LogisticRegression(C=C, tol=1e-6, max_iter=2000)
    list(HEADS.get("logreg").score_grid(training, [classifier], [others]))
    assert log_loss_gradient(training, classifier) <= 2e-6


KERNELS = {
    "svm-linear": [{"C": 1e-3}, {"C": 0.1}, {"C": 10.0}],
    "svm-rbf": [{"C": C, "gamma": gamma} for gamma in ("scale", "auto", 0.01) for C in (0.1, 10.0)],
}


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("head", KERNELS)
def test_support_vector_machines_on_one_kernel_equal_each_alone(head, case, class_weight):
    training, others = training_of(**CASES[case])
    make = HEADS.get(head).build
    grid = [make(class_weight, 0).set_params(**p) for p in KERNELS[head]]
    together = list(HEADS.get(head).score_grid(training, grid, [others]))
    for params, scored in zip(KERNELS[head], together, strict=True):
        alone = make(class_weight, 0).set_params(**params).fit(training.X, training.y)
        np.testing.assert_allclose(
            scored.outputs[0], alone.decision_function(others), atol=2 * alone.tol
        )


@pytest.mark.parametrize("case", ["several classes", "two classes", "SMOTE"])
@pytest.mark.parametrize("head", KERNELS)
def test_a_refitted_machine_is_a_plain_one(head, case):
    training, others = training_of(**CASES[case])
    labels = np.array(["a", "b", "c"])[training.y]
    training = Training(training.X, labels, training.origin, training.mixture)
    params = KERNELS[head][1]
    fitted = HEADS.get(head).refit(training, HEADS.get(head).build(None, 0).set_params(**params))
    plain = HEADS.get(head).build(None, 0).set_params(**params).fit(training.X, labels)
    assert fitted.get_params() == plain.get_params()
    assert set(vars(fitted)) == set(vars(plain))
    np.testing.assert_array_equal(fitted.support_, plain.support_)
    np.testing.assert_array_equal(fitted.support_vectors_, plain.support_vectors_)
    np.testing.assert_allclose(fitted.dual_coef_, plain.dual_coef_, atol=1e-3)
    assert fitted._gamma == pytest.approx(plain._gamma)
    assert fitted.shape_fit_ == plain.shape_fit_
    np.testing.assert_array_equal(fitted.predict(others), plain.predict(others))


@pytest.mark.parametrize("case", CASES)
def test_neighbours_found_once_vote_as_each_search_alone(case):
    training, others = training_of(**CASES[case])
    others[3] = training.X[5]  # a distance of 0
    grid = [HEADS.get("knn").build(None, 0).set_params(n_neighbors=k) for k in (7, 1, 3)]
    together = list(HEADS.get("knn").score_grid(training, grid, [others]))
    for k, scored in zip((7, 1, 3), together, strict=True):
        alone = HEADS.get("knn").build(None, 0).set_params(n_neighbors=k)
        expected = alone.fit(training.X, training.y).predict_proba(others)
        np.testing.assert_allclose(scored.outputs[0], expected, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_discriminants_of_one_covariance_equal_each_alone(case):
    training, others = training_of(**CASES[case])
    make = HEADS.get("lda").build
    grid = [make(None, 0).set_params(shrinkage=s) for s in (0.9, 0.1, 1, 1e-3)]
    together = list(HEADS.get("lda").score_grid(training, grid, [others]))
    for classifier, scored in zip(grid, together, strict=True):
        alone = make(None, 0).set_params(shrinkage=classifier.shrinkage)
        expected = alone.fit(training.X, training.y).predict_proba(others)
        np.testing.assert_allclose(scored.outputs[0], expected, atol=1e-4)


@pytest.mark.parametrize("shrinkage", ["auto", None, 0])
def test_other_discriminants_are_not_taken(shrinkage):
    training, others = training_of([20, 20])
    changed = HEADS.get("lda").build(None, 0).set_params(shrinkage=shrinkage)
    assert HEADS.get("lda").score_grid(training, [changed], [others]) is None


def test_other_neighbours_are_not_taken():
    training, others = training_of([20, 20])
    changed = HEADS.get("knn").build(None, 0).set_params(weights="uniform")
    assert HEADS.get("knn").score_grid(training, [changed], [others]) is None


def test_a_kernel_too_large_is_left_to_libsvm(monkeypatch):
    training, others = training_of([20, 20])
    monkeypatch.setattr(_kernel, "KERNEL_BYTES", 8 * 39**2)
    assert HEADS.get("svm-linear").score_grid(training, [SVC(kernel="linear")], [others]) is None
    fitted = HEADS.get("svm-linear").refit(training, SVC(kernel="linear"))
    np.testing.assert_array_equal(
        fitted.support_, SVC(kernel="linear").fit(training.X, training.y).support_
    )


@pytest.mark.parametrize("counts", [{0: 30, 1: 12, 2: 5}, {0: 9, 1: 2}, {0: 9, 1: 4, 2: 1}])
def test_smote_is_imbalanced_learns_and_says_what_it_mixed(counts):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(list(counts), list(counts.values())))
    X = rng.normal(size=(len(y), 6)).astype(np.float32)
    ours = SAMPLERS.get("smote").build(counts, 3)
    k = ours.k_neighbors.n_neighbors - 1
    plain = SMOTE(sampling_strategy=ours.sampling_strategy, random_state=3, k_neighbors=k)
    rows, labels = ours.fit_resample(X, y)
    expected, expected_labels = plain.fit_resample(X, y)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_allclose(ours.mixture_ @ X, rows, atol=1e-6)


def test_nothing_is_said_of_rows_that_imbalanced_learn_mixed_otherwise(monkeypatch):
    """Another version may draw otherwise; a head then fits the rows as they are."""
    original = SMOTE.fit_resample

    def otherwise(self, X, y, **params):
        rows, labels = original(self, X, y, **params)
        rows[len(y) :] += 0.1
        return rows, labels

    monkeypatch.setattr(SMOTE, "fit_resample", otherwise)
    training, others = training_of([40, 25, 12], sampler="smote")
    assert training.mixture is None
    assert len(training.X) == 120
    grid = [LogisticRegression(C=0.1, max_iter=2000)]
    [scored] = HEADS.get("logreg").score_grid(training, grid, [others])
    alone = LogisticRegression(C=0.1, tol=1e-9, max_iter=10_000).fit(training.X, training.y)
    np.testing.assert_allclose(scored.outputs[0], alone.predict_proba(others), atol=2e-3)


def test_a_class_missing_from_a_fold_is_never_predicted_there():
    """Class c2 has one image: while it is tested, nothing knows it."""
    data = make_data([20, 20, 1])
    for head in ("logreg", "svm-linear", "svm-rbf"):
        result = fit_heads(data, FitConfig(head=[head], cv=4, estimate="cv"))
        oof = next(h for h in result.held if h.split == "oof")
        row = np.flatnonzero(oof.part.y == 2)
        assert oof.proba[row, 2] == 0.0
        assert oof.proba[row].sum() == pytest.approx(1.0)


FREE = [
    name
    for name in HEADS.names()
    if HEADS.get(name).score_grid and not HEADS.get(name).follows_path
]


@pytest.mark.parametrize("case", ["several classes", "SMOTE"])
@pytest.mark.parametrize("head", FREE)
def test_what_a_classifier_says_does_not_depend_on_its_company(head, case):
    """To the last bit: a journal knows each of them by itself."""
    training, others = training_of(**CASES[case])
    plugin = HEADS.get(head)
    points = [{name: value} for name, values in plugin.param_grid.items() for value in values[:3]]

    def made(params):
        return plugin.build(None, 0).set_params(**params)

    together = plugin.score_grid(training, [made(p) for p in points], [others])
    for params, scored in zip(points, together, strict=True):
        (alone,) = plugin.score_grid(replace(training, memo=Memo()), [made(params)], [others])
        np.testing.assert_array_equal(scored.outputs[0], alone.outputs[0])
