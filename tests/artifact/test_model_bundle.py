"""Saving and loading: what comes back is what went in, and what differs is said."""

from __future__ import annotations

import importlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.artifact import Model, ModelExtractor, load_model, save_model
from featx.errors import ModelError, UsageError
from featx.heads import FittedHead
from tests.artifact.payload import forge

HEADS = [
    "dummy",
    "elastic-net",
    "hist-gradient-boosting",
    "knn",
    "lda",
    "logreg",
    "mlp",
    "prototypes",
    "ridge",
    "svm-linear",
    "svm-rbf",
]


def build_head(name: str) -> Any:
    plugin = importlib.import_module(f"featx.heads.{name.replace('-', '_')}").PLUGIN
    return plugin.build(None, 0)


DOCUMENT = {"backbone": "x", "n_features": 12}


def resting_on(*documents: dict[str, Any], request: dict[str, Any] | None = None) -> dict[str, Any]:
    """A model's field with these extractors."""
    asked = {"name": "x"} if request is None else request
    return {"extractors": [ModelExtractor(document, asked) for document in documents]}


def same(a: Model, b: Model, X: np.ndarray) -> None:
    """Assert that two models are the same in everything; what NumPy computes, to rounding."""
    for field in ("classes", "extractors", "temperature", "metrics", "provenance"):
        assert getattr(a, field) == getattr(b, field)
    assert a.predict(X).tolist() == b.predict(X).tolist()
    error = 1e-6 if isinstance(a.head, FittedHead) else 0
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=0, atol=error)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(a.decision_function(X), b.decision_function(X), rtol=error)


@pytest.mark.parametrize("name", ["model", "model.featx"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("classes", [("no", "yes"), ("cat", "dog", "owl")])
def test_every_head_comes_back(
    make_model: Callable[..., Model],
    X: np.ndarray,
    tmp_path: Path,
    name: str,
    head: str,
    classes: tuple[str, ...],
) -> None:
    model = make_model(classes, build_head(head), temperature=1.7)
    save_model(model, tmp_path / name)
    same(load_model(tmp_path / name), model, X)


def test_every_head_plug_in_is_tested_here() -> None:
    from featx.registry import Registry

    folder = Path(importlib.import_module("featx.heads").__file__ or "").parent
    assert Registry("featx.heads", str(folder), "head").names() == HEADS


# Any text but lone surrogates that no file name decodes to,
texts = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff"), max_size=8
)
# and, for classes, NUL at the end: numpy's fixed-width text, which scikit-learn uses, drops it.
labels = texts.filter(lambda name: not name.endswith("\0"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    classes=st.lists(labels, min_size=2, max_size=5, unique=True),
    metrics=st.dictionaries(texts, json_values, max_size=3),
    temperature=st.none() | st.floats(1e-6, 1e6),
    archive=st.booleans(),
)
def test_any_text_and_any_metrics_come_back(
    make_model: Callable[..., Model],
    X: np.ndarray,
    classes: list[str],
    metrics: dict[str, Any],
    temperature: float | None,
    archive: bool,
) -> None:
    model = make_model(classes, build_head("ridge"), metrics=metrics, temperature=temperature)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.featx" if archive else "m")
        save_model(model, path)
        same(load_model(path), model, X)


def test_classes_that_numpy_made_one_are_refused(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    model = make_model()
    model.pipeline.named_steps["head"].classes_ = np.array(["", "\0", "owl"])
    with pytest.raises(ModelError, match="names a class twice"):
        save_model(replace(model, classes=["", "", "owl"]), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_numbers_that_json_lacks_become_null(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    metrics = {"auc": float("nan"), "n": np.int64(3), "scores": np.array([0.5, np.inf]), "t": (1,)}
    save_model(make_model(metrics=metrics), tmp_path / "m")
    assert load_model(tmp_path / "m").metrics == {
        "auc": None, "n": 3, "scores": [0.5, None], "t": [1],
    }  # fmt: skip


def test_metrics_without_a_json_form_are_refused(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"must be JSON values\. Got PosixPath"):
        save_model(make_model(metrics={"file": Path("x")}), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_run_folder_is_taken_for_its_model(model: Model, X: np.ndarray, tmp_path: Path) -> None:
    save_model(model, tmp_path / "runs" / "first" / "model")
    same(load_model(tmp_path / "runs" / "first"), model, X)


def test_a_zip_made_by_hand_is_read(model: Model, X: np.ndarray, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m")
    shutil.make_archive(str(tmp_path / "m"), "zip", tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "m.zip") as made:
        assert set(made.namelist()) == {"model.json", "head.safetensors"}
    (tmp_path / "m.zip").rename(tmp_path / "m.featx")
    same(load_model(tmp_path / "m.featx"), model, X)


@pytest.mark.parametrize("name", ["m", "m.featx"])
def test_nothing_is_overwritten_unasked(
    make_model: Callable[..., Model], X: np.ndarray, tmp_path: Path, name: str
) -> None:
    first, second = make_model(), make_model(("a", "b"))
    save_model(first, tmp_path / name)
    with pytest.raises(UsageError, match="exists already") as caught:
        save_model(second, tmp_path / name)
    assert caught.value.exit_code == 2
    same(load_model(tmp_path / name), first, X)
    save_model(second, tmp_path / name, overwrite=True)
    same(load_model(tmp_path / name), second, X)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_no_model_is_never_replaced(model: Model, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"precious")
    with pytest.raises(UsageError, match="is not a model that featx wrote; it is not replaced"):
        save_model(model, tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == b"precious"


def test_predictions(make_model: Callable[..., Model], X: np.ndarray) -> None:
    model = make_model()
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (17, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-6)
    expected = [model.classes[k] for k in probabilities.argmax(axis=1)]
    assert model.predict(X).tolist() == expected
    assert model.predict(X[:0]).shape == (0,)
    assert model.predict_proba(X[:0]).shape == (0, 3)
    assert model.decision_function(X[:0]).shape == (0, 3)


def test_margins_become_probabilities_by_the_temperature(
    make_model: Callable[..., Model], X: np.ndarray
) -> None:
    model = make_model(("no", "yes"), build_head("svm-rbf"), temperature=2.0)
    d = model.pipeline.decision_function(X)
    np.testing.assert_allclose(model.decision_function(X), np.stack([-d / 2, d / 2], axis=1))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-d / 2)))


def test_embeddings_of_another_width_are_refused(model: Model) -> None:
    with pytest.raises(ModelError, match="have 7 features; the model was fitted on 12 features"):
        model.predict(np.zeros((2, 7), np.float32))
    with pytest.raises(ModelError, match=r"have shape \(12,\)"):
        model.predict_proba(np.zeros(12, np.float32))
    with pytest.raises(ModelError, match="finite"):
        model.decision_function(np.full((1, 12), np.nan, np.float32))


def test_embeddings_of_several_backbones(model: Model, X: np.ndarray, tmp_path: Path) -> None:
    """Their widths add up, their order is kept, and each is described."""
    documents = [{"backbone": "b", "n_features": 8}, {"backbone": "a", "n_features": 4}]
    several = replace(model, **resting_on(*documents))
    save_model(several, tmp_path / "m.featx")
    again = load_model(tmp_path / "m.featx")
    same(again, several, X)
    assert [spec.backbone for spec in again.specs] == ["b", "a"]
    assert again.n_features == 12
    with pytest.raises(ModelError, match="12 features of b and a") as caught:
        again.predict(X[:, :8])
    assert "concatenate several" in str(caught.value)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (5, r"in model format 5, written by featx 0\.1\.0; this featx reads formats 1 to 4\.\n"
            "pip install --upgrade featx"),
        (0, r"in model format 0.*\npip install featx==0\.1\.0, or fit the model again"),
        ("1", "format_version must be an integer. Got '1'"),
        (True, "format_version must be an integer. Got True"),
    ],
)  # fmt: skip
def test_other_format_versions_say_what_to_do(
    model: Model, tmp_path: Path, version: Any, message: str
) -> None:
    save_model(model, tmp_path / "m")
    forge(tmp_path / "m", lambda values: values.update(format_version=version))
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": ["a", "b"]}, "the head knows 3 classes, which are not the 2"),
        ({"classes": ["dog", "cat", "owl"]}, "the head knows 3 classes, which are not the 3"),
        (resting_on({"backbone": "x", "n_features": 5}), "takes 12 features, .* gives 5"),
        (resting_on({"backbone": "x"}), "takes 12 features, the extractor gives None"),
        (
            resting_on({"backbone": "x", "n_features": 8}, {"backbone": "y", "n_features": 5}),
            r"takes 12 features, the extractors give 8 \+ 5",
        ),
        (
            resting_on({"backbone": "x", "n_features": 13}, {"backbone": "y", "n_features": -1}),
            r"takes 12 features, the extractors give 13 \+ -1",
        ),
        ({"extractors": []}, "takes 12 features, the extractor gives "),
        (resting_on(DOCUMENT, request={}), "does not say how to build its backbone"),
        (
            resting_on(DOCUMENT, request={"name": "x", "code": "y"}),
            "does not say how to build its backbone",
        ),
        (resting_on(DOCUMENT, request={"name": 3}), "the backbone's name must be text"),
        ({"temperature": -1.0}, "temperature: input should be greater than 0, got -1.0"),
        ({"temperature": float("nan")}, "temperature"),
    ],
)
def test_a_model_that_contradicts_itself_is_not_saved(
    make_model: Callable[..., Model], tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        save_model(replace(make_model(), **fields), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("absent", UsageError, "absent does not exist"),
        ("folder", ModelError, r"folder holds no model: there is no model.json in it or in model/"),
        ("old.pkl", UsageError, r"old.pkl is neither a folder nor a .featx file"),
        ("text.featx", ModelError, r"text.featx is not a .featx file \(a zip\)"),
    ],
)
def test_what_is_no_model_says_so(
    tmp_path: Path, name: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "old.pkl").write_bytes(b"\x80\x04.")
    (tmp_path / "text.featx").write_text("hello")
    with pytest.raises(error, match=message):
        load_model(tmp_path / name)
