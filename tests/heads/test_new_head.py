"""A new head is one file: fitted, saved, scored and exported with nothing else registered."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import featx
import featx.heads
from featx.errors import ModelError
from featx.heads import HEADS
from tests.lab import NETWORK, NUMERICS, save_pixels

PLUGIN = '''
"""Gaussian classes with independent features."""

from featx.arrays import cast, namespace
from featx.heads import Form, Head, Real, doubles
from featx.margins import margin_probabilities


def build(class_weight, random_state):
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB()


def proba(X, a):
    xp, X = namespace(X), cast(X, "float64")[:, None, :]
    each = (X - a.theta) ** 2 / a.var + xp.log(a.var)
    return margin_probabilities(xp.log(a.class_prior) - each.sum(axis=2) / 2, 1.0)


PLUGIN = Head(
    name="gaussian-nb",
    summary="Gaussian classes with independent features",
    build=build,
    estimator="GaussianNB",
    form=Form(
        output="proba",
        arrays={
            "theta": doubles("n_classes", "n_features"),
            "var": doubles("n_classes", "n_features"),
            "class_prior": doubles("n_classes"),
        },
        compute=proba,
        sound=lambda a, n_features, n_classes: bool((a.var > 0).all()),
    ),
    param_grid={"var_smoothing": [1e-1, 1e-3]},
    supports_class_weight=False,
    space={"var_smoothing": Real(1e-6, 1.0, log=True)},
)
'''


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pictures of two colours."""
    rng = np.random.default_rng(0)
    for i in range(12):
        colour = [200, 60, 60] if i % 2 else [60, 60, 200]
        path = tmp_path / "photos" / ("red" if i % 2 else "blue") / f"{i}.png"
        save_pixels(path, rng.normal(colour, 30, (40, 48, 3)))
    return tmp_path / "photos"


def test_one_file_is_all(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "gaussian_nb.py").write_text(PLUGIN)
    monkeypatch.setattr(featx.heads, "__path__", [*featx.heads.__path__, str(folder)])
    monkeypatch.setattr(HEADS, "path", featx.heads.__path__)
    monkeypatch.chdir(tmp_path)
    assert "gaussian-nb" in HEADS.names()
    options = {**NETWORK, **NUMERICS, "cache": str(tmp_path / "cache")}
    try:
        run = featx.fit(photos, head=["gaussian-nb"], cv=3, estimate="cv", name="new", **options)
        pipeline = run.model.pipeline
        model = featx.load_model(run.folder)
        assert model.head.head == "gaussian-nb"
        X = np.random.default_rng(1).normal(size=(5, model.n_features)).astype(np.float32)
        np.testing.assert_allclose(model.predict_proba(X), pipeline.predict_proba(X), atol=1e-9)
        assert model.planes() is None
        scores = featx.score(run.folder, photos, cache=options["cache"])
        expected = [Path(name).parent.name for name in scores.ids]
        assert scores.predictions.tolist() == expected
        done = featx.export_model(run.folder, tmp_path / "new.onnx", images=str(photos))
        assert done.largest_difference < 1e-2
        rebuilt = model.pipeline.predict_proba(X)
        np.testing.assert_allclose(rebuilt, pipeline.predict_proba(X), atol=1e-9)
    finally:
        sys.modules.pop("featx.heads.gaussian_nb", None)
    monkeypatch.undo()
    folder = tmp_path / run.folder
    described = json.loads((folder / "model" / "model.json").read_bytes())["heads"]
    assert described["head.safetensors"]["parameters"]["var_smoothing"] in {1e-1, 1e-3}
    with pytest.raises(ModelError, match="needs the head 'gaussian-nb', which is not installed"):
        featx.load_model(folder)
