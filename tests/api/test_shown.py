"""What a person at a prompt or in a notebook sees of results, and their tables as frames."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import featx
from featx.errors import MissingExtraError, UnknownNameError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "photos"
    noise = np.random.default_rng(0)
    for i in range(24):
        place = folder / ("d<b>rk", "light")[i % 2] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        low = 110 * (i % 2)
        Image.fromarray(noise.integers(low, low + 140, (9, 9, 3), np.uint8)).save(place)
    return folder


@pytest.fixture(scope="module")
def run(photos: Path) -> Any:
    beside = photos.parent
    return featx.fit(photos, cv=3, estimate="cv", runs=beside / "runs", cache=beside / "cache",
                     backbone="featx:mini-v1", name="shown")  # fmt: skip


def test_results_are_short_at_a_prompt(run: Any, photos: Path) -> None:
    cache = {"cache": photos.parent / "cache"}
    other = featx.fit(photos, cv=3, estimate="cv", runs=photos.parent / "runs", head="knn",
                      backbone="featx:mini-v1", name="other", **cache)  # fmt: skip
    shown = {
        "run": run,
        "again": featx.load_run(run.folder),
        "model": run.model,
        "results": run.results,
        "predictions": run.predictions,
        "one split": run.predictions["oof"],
        "table": run.table("candidates"),
        "extraction": featx.extract(photos, backbone="featx:mini-v1", **cache),
        "inspection": featx.inspect(photos),
        "audit": featx.audit(photos, output=photos.parent / "audit", backbone="featx:mini-v1",
                             **cache),
        "comparison": featx.compare(run, other),
        "scores": featx.score(run, photos, **cache),
    }  # fmt: skip
    for name, one in shown.items():
        text = repr(one)
        assert len(text.splitlines()) <= 3, name
        assert len(text) < 500, name
        assert " object at 0x" not in text, name
    assert "2 classes, 24 images, logreg on featx:mini-v1" in repr(run)
    assert "balanced accuracy" in repr(run)
    assert repr(run) == repr(shown["again"])


def test_a_notebook_shows_a_run_as_html(run: Any) -> None:
    html = featx.load_run(run.folder)._repr_html_()
    assert "<table>" in html
    assert "balanced accuracy" in html
    assert "d&lt;b&gt;rk" in html  # names stay text
    assert "<script" not in html


def test_tables_are_frames(run: Any, photos: Path) -> None:
    frame = run.predictions.to_pandas()
    assert list(frame.columns[:5]) == ["id", "split", "fold", "y_true", "y_pred"]
    assert len(frame) == 24
    assert frame.equals(featx.load_run(run.folder).predictions.to_pandas())
    assert run.table("predictions").to_pandas().equals(frame)
    accuracy = run.results.estimate.metrics["accuracy"].value
    metrics = run.table("metrics").to_pandas().set_index(["estimate", "metric"])
    assert metrics.loc[("estimate", "accuracy"), "value"] == accuracy
    classes = run.table("classes").to_pandas()
    assert set(classes["class"]) == {"d<b>rk", "light"}
    assert {"recall", "recall_low", "recall_high"} <= set(classes.columns)
    assert run.table("candidates").to_pandas()["head"].tolist() == ["logreg"]
    for name in ("failures", "epochs", "learning_curve"):
        assert len(run.table(name)) == 0
    scores = featx.score(run, photos, cache=photos.parent / "cache").to_pandas()
    assert scores["prediction"].notna().all()
    with pytest.raises(UnknownNameError, match="mean 'predictions'"):
        run.table("prediction")


def test_without_pandas_the_extra_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'featx\[pandas\]'"):
        run.predictions.to_pandas()
