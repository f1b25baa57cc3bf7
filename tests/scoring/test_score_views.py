"""Scoring by the mean over augmented views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.artifact import Model, load_model, save_model
from featx.config import ExtractConfig, ScoreConfig
from featx.data.augment import STRENGTHS, view_name
from featx.errors import ModelError, UsageError
from featx.store import EmbeddingStore
from tests.lab import NETWORK


def score(model: Model, images: Path, config: ExtractConfig, views: int) -> featx.Scores:
    return featx.score(model, images, config=ScoreConfig(average_views=views), extract=config)


@pytest.mark.parametrize("strength", [None, "strong"])
def test_it_is_the_mean_computed_by_hand(
    fitted: Model, images: Path, config: ExtractConfig, strength: str | None
) -> None:
    """From the store's own rows, by names made here; the model's augmentation, else medium."""
    augmentation = STRENGTHS[strength or "medium"]
    model = replace(fitted, augmentation=augmentation.model_dump() if strength else None)
    scores = score(model, images, config, 2)
    plain = featx.score(model, images, extract=config, config=ScoreConfig())
    assert plain.averaged is None
    assert scores.averaged == {"n_views": 2, "augmentation": augmentation.model_dump()}
    assert scores.document()["averaged"] == scores.averaged
    [folder] = [f for f in Path(str(config.cache)).iterdir() if f.is_dir()]
    store = EmbeddingStore.open_folder(folder)
    extraction = featx.extract(images, cache=config.cache, **NETWORK)
    differ = 0.0
    for i in np.flatnonzero(extraction.ok):
        sha256 = extraction.hashes[i].tobytes()
        names = [sha256, *(view_name(sha256, augmentation, k) for k in (1, 2))]
        rows = store.gather(np.frombuffer(b"".join(names), np.uint8).reshape(-1, 32))
        expected = model.predict_proba(rows)
        np.testing.assert_allclose(scores.probabilities[i], expected.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(plain.probabilities[i], expected[0], atol=1e-6)
        assert scores.predictions[i] == model.classes[expected.mean(axis=0).argmax()]
        differ = max(differ, np.abs(expected - expected[0]).max())
    assert differ > 1e-3
    assert np.isnan(scores.probabilities[~extraction.ok]).all()
    assert [f.id for f in scores.failures] == [f.id for f in plain.failures]


def test_views_of_scored_images_are_cached(
    fitted: Model, images: Path, config: ExtractConfig
) -> None:
    assert score(fitted, images, config, 2).report["views_computed"] == 2 * 6
    assert score(fitted, images, config, 3).report["views_computed"] == 6
    assert score(fitted, images, config, 0).report["views"] == 0


def test_views_stay_in_memory_where_the_cache_cannot_be_written(
    fitted: Model, images: Path, config: ExtractConfig, tmp_path: Path
) -> None:
    expected = score(fitted, images, config, 2)
    (tmp_path / "file").write_text("not a folder")
    blocked = config.model_copy(update={"cache": str(tmp_path / "file" / "cache")})
    found = score(fitted, images, blocked, 2)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)


def test_views_asked_for_when_fitting_are_not_made_when_scoring(
    fitted: Model, images: Path, config: ExtractConfig
) -> None:
    """A configuration file has one extract section for both."""
    scores = score(fitted, images, config.model_copy(update={"views": 4}), 0)
    assert scores.report["views_computed"] == 0
    with pytest.raises(UsageError, match="not an option of score"):
        featx.score(fitted, images, views=2, cache=config.cache)


def test_the_augmentation_travels_in_the_model(fitted: Model, tmp_path: Path) -> None:
    strong = STRENGTHS["strong"].model_dump()
    save_model(replace(fitted, augmentation=strong), tmp_path / "model.featx")
    assert load_model(tmp_path / "model.featx").augmentation == strong
    save_model(fitted, tmp_path / "without.featx")
    assert load_model(tmp_path / "without.featx").augmentation is None


@pytest.mark.parametrize("fault", [{"version": 9}, {"zoom": 1e9}, {"blur": 1}])
def test_an_augmentation_from_elsewhere_is_refused(
    fitted: Model, images: Path, config: ExtractConfig, fault: dict[str, float]
) -> None:
    document = {**STRENGTHS["light"].model_dump(), **fault}
    model = replace(fitted, augmentation=document)
    assert len(score(model, images, config, 0)) == 9
    with pytest.raises(ModelError, match=next(iter(fault))):
        score(model, images, config, 1)
