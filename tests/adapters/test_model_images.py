"""A model over images, and over arrays as scikit-learn's users know it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import featx
from featx.errors import ConfigError, ModelError, UsageError
from featx.runs import Run


@pytest.fixture(scope="session")
def model(run: Run) -> featx.artifact.Model:
    return featx.load_model(run.folder)


def test_images_are_predicted_as_score_does(
    run: Run, model: featx.artifact.Model, photos: Path, paths: list[Path], tmp_path: Path
) -> None:
    expected = featx.score(run.folder, photos, cache=str(tmp_path / "cache"))
    arrays = [np.asarray(Image.open(path)) for path in paths]
    mixed = [
        a if i % 2 else Image.open(p) for i, (a, p) in enumerate(zip(arrays, paths, strict=True))
    ]
    for images in (paths, arrays, mixed):
        scores = model.predict_images(images)
        np.testing.assert_array_equal(scores.probabilities, expected.probabilities)
        np.testing.assert_array_equal(scores.sets, expected.sets)
        np.testing.assert_array_equal(scores.abstained, expected.abstained)
        np.testing.assert_array_equal(scores.ood_scores, expected.ood_scores)
        assert scores.predictions.tolist() == expected.predictions.tolist()
    assert [row[1:] for row in scores.rows()] == [row[1:] for row in expected.rows()]
    cache = tmp_path / "own"
    np.testing.assert_array_equal(
        model.predict_images(paths, cache=cache).probabilities, expected.probabilities
    )
    assert cache.is_dir()
    fresh = run.model.predict_images(paths[0])  # not saved and loaded, so equal to rounding
    np.testing.assert_allclose(fresh.probabilities, expected.probabilities[:1], atol=1e-6)
    assert len(model.predict_images([])) == 0


def test_one_bad_image_costs_its_own_row_only(
    model: featx.artifact.Model, paths: list[Path]
) -> None:
    scores = model.predict_images([paths[0], "nix.png", paths[1]])
    assert [p is None for p in scores.predictions] == [False, True, False]
    assert [(f.id, f.reason) for f in scores.failures] == [("nix.png", "file not found")]
    with pytest.raises(UsageError, match="Image 1 is a int"):
        model.predict_images([paths[0], 3])
    with pytest.raises(ConfigError, match="workers"):
        model.predict_images(paths, workers=0)


def test_a_model_is_used_as_a_classifier(model: featx.artifact.Model, tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(5, model.n_features)).astype(np.float32)
    assert model.classes_.tolist() == ["blue", "red"]
    assert set(model.predict(X)) <= set(model.classes_)
    assert model.predict_proba(X).shape == model.predict_sets(X).shape == (5, 2)
    sets = model.predict_sets(X)
    assert sets[np.arange(5), np.searchsorted(model.classes_, model.predict(X))].all()
    model.save(tmp_path / "m.featx")
    again = featx.load_model(tmp_path / "m.featx")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    with pytest.raises(UsageError, match="exists"):
        model.save(tmp_path / "m.featx")
    model.save(tmp_path / "m.featx", overwrite=True)
    words = f"<Model of 2 classes (blue, red) on timm:test_resnet/random, {X.shape[1]} features>"
    assert repr(model) == words
    with pytest.raises(ModelError, match=f"have 3 features; the model was fitted on {X.shape[1]}"):
        model.predict(X[:, :3])
    with pytest.raises(ModelError, match=r"give x\[None\]"):
        model.predict_proba(X[0])
    with pytest.raises(ModelError, match="finite"):
        model.predict_sets(X * np.nan)
