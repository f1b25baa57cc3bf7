"""Heads that NumPy computes predict what scikit-learn predicts; the others are left to skops."""

from __future__ import annotations

import importlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from featx.artifact import Model, load_model, save_model
from featx.artifact.head import dump_head, load_head
from featx.artifact.linear import ArrayHead
from featx.errors import ModelError

COMPUTED = [
    "elastic-net",
    "lda",
    "logreg",
    "prototypes",
    "ridge",
    "svm-linear",
    "svm-rbf",
]  # by NumPy; every other head by skops


def build_head(name: str) -> Any:
    if name == "linear-svc":
        return LinearSVC()
    return importlib.import_module(f"featx.heads.{name.replace('-', '_')}").PLUGIN.build(None, 0)


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


def agree(head: Any, pipeline: Pipeline, X: np.ndarray) -> None:
    """Assert that two heads say the same, probabilities to 1e-6."""
    assert head.classes_.tolist() == pipeline.classes_.tolist()
    assert head.predict(X).tolist() == pipeline.predict(X).tolist()
    ours, theirs = head.decision_function(X), pipeline.decision_function(X)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert hasattr(head, "predict_proba") == hasattr(pipeline, "predict_proba")
    if hasattr(head, "predict_proba"):
        ours, theirs = head.predict_proba(X), pipeline.predict_proba(X)
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([*COMPUTED, "linear-svc"]),
    n_classes=st.sampled_from([2, 3, 10]),
    dtype=st.sampled_from([np.float32, np.float64]),
    fitted_in=st.sampled_from([np.float32, np.float64]),
    spread=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=st.integers(0, 999),
    scaler=st.sampled_from(
        [True, None, StandardScaler(with_mean=False), StandardScaler(with_std=False)]
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
    head = load_head(dump_head(pipeline), source="m")
    assert isinstance(head, ArrayHead)
    X = (np.random.default_rng(seed + 1).normal(size=(40, 8)) * spread).astype(dtype)
    before = X.copy()
    agree(head, pipeline, X)
    assert X.tobytes() == before.tobytes()
    agree(head.rebuild(), pipeline, X)


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, ">f4", ">f8"])
def test_other_types_of_embeddings(dtype: Any) -> None:
    pipeline = fit(LogisticRegression(), 3, np.float32)
    X = np.random.default_rng(0).normal(size=(9, 8)).astype(dtype)
    agree(load_head(dump_head(pipeline), source="m"), pipeline, X)


def test_many_embeddings_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(25, 8)).astype(np.float32)
    for n_classes in (2, 4):
        pipeline = fit(build_head("svm-rbf"), n_classes, np.float32)
        head = load_head(dump_head(pipeline), source="m")
        whole = head.decision_function(X)
        monkeypatch.setattr("featx.artifact.vectors.CHUNK_NUMBERS", 3 * (len(head.vectors) + 16))
        np.testing.assert_allclose(head.decision_function(X), whole, rtol=1e-12)
        agree(head, pipeline, X)
        monkeypatch.undo()


def test_of_equal_votes_and_margins_the_first_class_wins() -> None:
    pipeline = fit(build_head("svm-linear"), 3, np.float64)
    svm = pipeline.named_steps["head"]
    svm._dual_coef_ = np.zeros_like(svm._dual_coef_)
    svm._intercept_ = np.zeros(3)
    head = load_head(dump_head(pipeline), source="m")
    agree(head, pipeline, np.ones((2, 8)))
    pair = fit(build_head("svm-rbf"), 2, np.float64)
    pair.named_steps["head"]._dual_coef_ *= 0
    pair.named_steps["head"]._intercept_ *= 0
    agree(load_head(dump_head(pair), source="m"), pair, np.ones((2, 8)))


def test_margins_beyond_all_measure_are_sure() -> None:
    for n_classes in (2, 3):
        pipeline = fit(LogisticRegression(C=1e6), n_classes, np.float32)
        head = load_head(dump_head(pipeline), source="m")
        X = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32) * 1e6
        agree(head, pipeline, X)
        assert set(head.predict_proba(X).ravel().tolist()) == {0.0, 1.0}


def test_embeddings_that_overflow_are_refused() -> None:
    pipeline = fit(LogisticRegression(), 2, np.float32)
    pipeline.named_steps["scaler"].scale_ *= 1e-30
    head = load_head(dump_head(pipeline), source="m")
    with pytest.raises(ModelError, match="finite when standardised"):
        head.predict(np.full((1, 8), 1e30, np.float32))


@pytest.mark.parametrize("name", ["dummy", "knn", *COMPUTED])
def test_which_heads_numpy_computes(name: str) -> None:
    head = load_head(dump_head(fit(build_head(name), 3, np.float32)), source="m")
    assert isinstance(head, ArrayHead if name in COMPUTED else Pipeline)


@pytest.mark.parametrize(
    "pipeline",
    [
        fit(LogisticRegression(), 3, np.float32, scaler=MinMaxScaler()),
        fit(LogisticRegression(), 3, np.float32, scaler=PCA(4)),
        Pipeline([("a", StandardScaler()), *fit(LogisticRegression(), 3, np.float32).steps]),
        fit(LogisticRegression(), 3, np.float32).named_steps["head"],
        fit(SVC(), 3, np.float32),
        fit(SVC(decision_function_shape="ovo"), 3, np.float32),
        fit(SVC(kernel="poly", break_ties=True), 3, np.float32),
    ],
    ids=["scaler", "PCA", "two scalers", "no pipeline", "votes", "pairs", "polynomial"],
)
def test_other_pipelines_are_left_to_skops(pipeline: Any) -> None:
    assert type(load_head(dump_head(pipeline), source="m")) is type(pipeline)


@pytest.mark.parametrize(
    ("step", "attribute", "value"),
    [
        ("head", "coef_", np.full((3, 8), np.nan, np.float32)),
        ("head", "coef_", np.zeros((2, 8), np.float32)),
        ("head", "coef_", np.zeros((3, 8), np.int64)),
        ("head", "coef_", [[0.0] * 8] * 3),
        ("head", "intercept_", np.zeros(1)),
        ("head", "intercept_", 0.0),
        ("head", "classes_", np.array([0, 1, 2])),
        ("head", "classes_", np.array(["a", "b"])),
        ("head", "classes_", np.array(["a", "b", "c"], dtype=object)),
        ("head", "n_features_in_", 9),
        ("head", "n_features_in_", "8"),
        ("scaler", "mean_", np.zeros(9)),
        ("scaler", "scale_", np.zeros(8)),
        ("scaler", "scale_", np.full(8, np.inf)),
        ("scaler", "n_features_in_", 8.0),
    ],
)
def test_what_scikit_learn_would_not_have_fitted_is_left_to_skops(
    step: str, attribute: str, value: Any
) -> None:
    pipeline = fit(LogisticRegression(), 3, np.float32)
    setattr(pipeline.named_steps[step], attribute, value)
    assert isinstance(load_head(dump_head(pipeline), source="m"), Pipeline)


def test_two_nodes_that_skops_takes_for_one_are_left_to_skops() -> None:
    data, result = dump_head(fit(LogisticRegression(), 3, np.float32)), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w") as new:
        schema = json.loads(old.read("schema.json"))
        scaler, head = (
            pair["content"][1]["content"]["content"]
            for pair in schema["content"]["content"]["steps"]["content"]
        )
        head["intercept_"]["__id__"] = scaler["mean_"]["__id__"]
        for name in old.namelist():
            new.writestr(name, json.dumps(schema) if name == "schema.json" else old.read(name))
    loaded = load_head(result.getvalue(), source="m")
    assert isinstance(loaded, Pipeline)
    assert loaded.named_steps["head"].intercept_.shape == (8,)  # the mean, by its id


def test_the_pipeline_is_built_when_asked_for_and_predicts_from_then_on(
    make_model: Callable[..., Model], X: np.ndarray, tmp_path: Any
) -> None:
    model = make_model(("no", "yes"))
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded.head, ArrayHead)
    assert isinstance(loaded.pipeline, Pipeline)
    np.testing.assert_array_equal(loaded.pipeline["head"].coef_, model.pipeline["head"].coef_)
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
