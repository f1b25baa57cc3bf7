"""Arrays of fitted heads predict what scikit-learn predicts, and become its pipeline again."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from featx.artifact import Model, ModelExtractor, load_model, save_model
from featx.errors import ModelError
from featx.heads import HEADS, FittedHead, freeze

QUICK: dict[str, dict[str, Any]] = {
    "hist-gradient-boosting": {"max_iter": 5},
    "mlp": {"epochs": 3, "hidden_layer_sizes": "6,5", "activation": "gelu"},
}


def build_head(name: str) -> Any:
    plugin = importlib.import_module(f"featx.heads.{name.replace('-', '_')}").PLUGIN
    return plugin.build(None, 0).set_params(**QUICK.get(name, {}))


def fit(head: Any, n_classes: int, dtype: Any, *, seed: int = 0, scaler: Any = True) -> Pipeline:
    """A pipeline fitted on overlapping classes, so that no probability is quite 0 or 1."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_classes), 12)
    X = rng.normal(size=(len(y), 8)) + rng.normal(size=(n_classes, 8))[y]
    steps = [("scaler", StandardScaler() if scaler is True else scaler)] if scaler else []
    pipeline = Pipeline([*steps, ("head", head)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipeline.fit(X.astype(dtype), np.array([f"class {k:02}" for k in y]))


def agree(head: Any, pipeline: Pipeline, X: np.ndarray, error: float = 1e-6) -> None:
    """Assert that two heads say the same."""
    assert head.classes_.tolist() == pipeline.classes_.tolist()
    assert head.predict(X).tolist() == pipeline.predict(X).tolist()
    assert hasattr(head, "predict_proba") == hasattr(pipeline, "predict_proba")
    if hasattr(head, "predict_proba"):
        ours, theirs = head.predict_proba(X), pipeline.predict_proba(X)
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=error)
    if hasattr(head, "decision_function"):
        ours, theirs = head.decision_function(X), pipeline.decision_function(X)
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=10 * error, atol=error)


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from(HEADS.names()),
    n_classes=st.sampled_from([2, 3, 10]),
    dtype=st.sampled_from([np.float32, np.float64]),
    fitted_in=st.sampled_from([np.float32, np.float64]),
    spread=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=st.integers(0, 999),
    scaler=st.sampled_from(
        [True, None, StandardScaler(with_mean=False), StandardScaler(with_std=False), PCA(5)]
    ),
)
def test_numpy_and_scikit_learn_agree(
    name: str,
    n_classes: int,
    dtype: Any,
    fitted_in: Any,
    spread: float,
    seed: int,
    scaler: Any,
) -> None:
    pipeline = fit(build_head(name), n_classes, fitted_in, seed=seed, scaler=scaler)
    head = freeze(pipeline)
    assert head.head == name
    assert head.fault() is None
    X = (np.random.default_rng(seed + 1).normal(size=(40, 8)) * spread).astype(dtype)
    before = X.copy()
    # far away, products of PCA's in float32 differ by as much as they are large
    error = 1e-6 if spread < 1e3 or not isinstance(scaler, PCA) else 1e-3
    agree(head, pipeline, X, error)
    assert X.tobytes() == before.tobytes()
    agree(head.rebuild(), pipeline, X, error)
    assert freeze(head.rebuild()).arrays.keys() == head.arrays.keys()


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, ">f4", ">f8"])
def test_other_types_of_embeddings(dtype: Any) -> None:
    pipeline = fit(LogisticRegression(), 3, np.float32)
    X = np.random.default_rng(0).normal(size=(9, 8)).astype(dtype)
    agree(freeze(pipeline), pipeline, X)


@pytest.mark.parametrize("name", ["svm-rbf", "knn", "hist-gradient-boosting"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_many_embeddings_are_taken_in_parts(
    name: str, n_classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = np.random.default_rng(0).normal(size=(25, 8)).astype(np.float32)
    head = freeze(fit(build_head(name), n_classes, np.float32))
    whole, parts = head._outputs(X), []
    assert head._outputs(X[:0]).shape == (0, *whole.shape[1:])
    numbers, compute = head.form.numbers, head.form.compute
    assert numbers is not None
    watched = replace(head.form, compute=lambda X, a: parts.append(len(X)) or compute(X, a))
    monkeypatch.setattr(FittedHead, "form", watched)
    monkeypatch.setattr("featx.heads._fitted.CHUNK_NUMBERS", 3 * numbers(head._named))
    np.testing.assert_allclose(head._outputs(X), whole, rtol=1e-12)
    assert parts == [3] * 8 + [1]


def test_of_equal_votes_and_margins_the_first_class_wins() -> None:
    pipeline = fit(build_head("svm-linear"), 3, np.float64)
    three = freeze(pipeline)
    zeros = {name: 0 * array for name, array in three.arrays.items() if name != "counts"}
    three = replace(three, arrays={**three.arrays, **zeros})
    agree(three, three.rebuild(), np.ones((2, 8)))
    assert three.predict(np.ones((1, 8))).tolist() == ["class 00"]
    pair = freeze(fit(build_head("svm-rbf"), 2, np.float64))
    zeros = {name: 0 * pair.arrays[name] for name in ("dual", "intercept")}
    pair = replace(pair, arrays={**pair.arrays, **zeros})
    agree(pair, pair.rebuild(), np.ones((2, 8)))


def test_margins_beyond_all_measure_are_sure() -> None:
    for n_classes in (2, 3):
        pipeline = fit(LogisticRegression(C=1e6), n_classes, np.float32)
        head = freeze(pipeline)
        X = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32) * 1e6
        agree(head, pipeline, X)
        assert set(head.predict_proba(X).ravel().tolist()) == {0.0, 1.0}


def test_embeddings_that_overflow_are_refused() -> None:
    pipeline = fit(LogisticRegression(), 2, np.float32)
    pipeline.named_steps["scaler"].scale_ *= 1e-30
    with pytest.raises(ModelError, match="finite when standardised"):
        freeze(pipeline).predict(np.full((1, 8), 1e30, np.float32))


def test_a_training_image_is_its_own_nearest_neighbour() -> None:
    pipeline = fit(build_head("knn"), 3, np.float32, scaler=None)
    X = pipeline[-1].X_
    proba = freeze(pipeline).predict_proba(X)
    np.testing.assert_array_equal(proba.argmax(axis=1), pipeline[-1].y_)
    assert set(proba.ravel().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("pipeline", "named"),
    [
        (fit(LogisticRegression(), 3, np.float32, scaler=MinMaxScaler()), "A MinMaxScaler"),
        (fit(LogisticRegression(), 3, np.float32, scaler=PCA(4, whiten=True)), "A PCA"),
        (
            Pipeline(
                [
                    ("a", fit(LogisticRegression(), 3, np.float32)[0]),
                    *fit(LogisticRegression(), 3, np.float32).steps,
                ]
            ),
            "A StandardScaler cannot precede",
        ),
        (fit(SVC(), 3, np.float32), "SVC is not a featx head: it predicts by votes"),
        (fit(SVC(decision_function_shape="ovo"), 3, np.float32), "SVC is not a featx head"),
        (fit(SVC(kernel="poly", break_ties=True), 3, np.float32), "its kernel is 'poly'"),
        (fit(DecisionTreeClassifier(), 3, np.float32), "no head that is a DecisionTreeClassifier"),
    ],
    ids=["scaler", "whitening", "two scalers", "votes", "pairs", "polynomial", "tree"],
)
def test_other_pipelines_are_refused_by_name(pipeline: Any, named: str, tmp_path: Any) -> None:
    with pytest.raises(ModelError, match=named):
        freeze(pipeline)
    extractors = [ModelExtractor({"backbone": "x", "n_features": 8}, {"name": "x"})]
    with pytest.raises(ModelError, match=named):
        save_model(Model([f"class {k:02}" for k in range(3)], pipeline, extractors), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_the_plug_in_that_is_most_alike_is_named() -> None:
    for name in HEADS.names():
        assert freeze(fit(build_head(name), 2, np.float32)).head == name


def test_the_pipeline_is_built_when_asked_for_and_predicts_from_then_on(
    make_model: Callable[..., Model], X: np.ndarray, tmp_path: Any
) -> None:
    model = make_model(("no", "yes"))
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded.head, FittedHead)
    assert isinstance(loaded.pipeline, Pipeline)
    np.testing.assert_array_equal(loaded.pipeline["head"].coef_, model.pipeline["head"].coef_)
    assert loaded.pipeline["head"].get_params() == model.pipeline["head"].get_params()
    loaded.pipeline["head"].intercept_[:] = 1e3
    assert set(loaded.predict(X)) == {"yes"}
    save_model(loaded, tmp_path / "changed")
    assert set(load_model(tmp_path / "changed").predict(X)) == {"yes"}


def test_a_loaded_model_is_saved_again(model: Model, X: np.ndarray, tmp_path: Any) -> None:
    save_model(model, tmp_path / "first")
    save_model(load_model(tmp_path / "first"), tmp_path / "second.featx")
    again = load_model(tmp_path / "second.featx")
    assert again.predict(X).tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), atol=1e-6)
