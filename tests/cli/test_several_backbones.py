"""A classifier that rests on several backbones, from the command line to the scores.

The embeddings are put into the cache beforehand, so that it is known what each backbone sees.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.api.score import score
from featx.artifact import Model, ModelExtractor
from featx.config import ExtractConfig
from featx.data.hashing import content_hash
from featx.errors import FitError, UsageError
from featx.extraction import Extractor
from featx.fitting.gathering import gather
from featx.store import EmbeddingStore
from tests.lab import csv_rows, save_pixels

BACKBONES = ["timm:test_resnet", "timm:test_efficientnet"]
JOINED = " + ".join(BACKBONES)
SETTINGS = {"pretrained": False, "size": 32, "engine": "torch", "precision": "fp32"}
ASKED = ["--no-pretrained", "--size", "32", "--engine", "torch", "--precision", "fp32"]
TWO = [*(part for name in BACKBONES for part in ("--backbone", name)), *ASKED]
FLAGS = ["--cv", "3", "--estimate", "cv", "-j", "1"]
SHADES, SHAPES = ("dark", "light"), ("round", "square")  # seen by one backbone each


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``photos`` of four classes and ``new`` images, all embedded already, and a broken file.

    The first backbone tells dark from light, the second round from square; beside that, noise.
    """
    root = tmp_path_factory.mktemp("several")
    config = ExtractConfig(backbone=BACKBONES, cache=str(root / "cache"), **SETTINGS)
    rng = np.random.default_rng(0)
    hashes, seen = [], []
    for shade, shape in itertools.product((0, 1), (0, 1)):
        name = f"{SHADES[shade]} {SHAPES[shape]}"
        files = [root / "photos" / name / f"{i:02}.png" for i in range(12)]
        for path in [*files, root / "new" / f"{name}.png"]:
            save_pixels(path, rng.integers(0, 256, (8, 8, 3), np.uint8))
            hashes.append(np.frombuffer(content_hash(path.read_bytes()), np.uint8))
            seen.append((shade, shape))
    (root / "new" / "broken.png").write_bytes(b"no image")
    for k, request in enumerate(config.requests()):
        [spec] = Extractor.from_request(request, config).specs
        X = rng.normal(size=(len(hashes), spec.n_features))
        X[:, ::2] += 3 * np.array(seen)[:, [k]]
        store = EmbeddingStore.open(root / "cache", spec)
        store.add(np.array(hashes), X.astype(np.float32))
    return root


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``home`` as the working directory, with its cache."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("FEATX_CACHE", str(home / "cache"))
    return home


def run(*arguments: str) -> int:
    from featx.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def scored(path: Path) -> dict[str, dict[str, str]]:
    return {row["path"]: row for row in csv_rows(path)}


def test_side_by_side_they_tell_apart_what_neither_does(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", "photos", *TWO, *FLAGS, "--concat", "--name", "joined") == 0
    results = json.loads((here / "runs" / "joined" / "results.json").read_text())
    means = {c["backbone"]: c["cv_mean"] for c in results["candidates"]}
    assert list(means) == [*BACKBONES, JOINED]
    assert means[JOINED] == 1 > 0.8 > max(means[name] for name in BACKBONES)
    assert results["chosen"]["backbone"] == JOINED
    assert results["comparison"]["folds"]["n_comparisons"] == 3

    capsys.readouterr()
    assert run("score", "runs/joined", "new", "-o", "joined.csv") == 0
    said = capsys.readouterr().err
    assert "5 images: 4 cached, 0 computed, 1 quarantined;" in said
    rows = scored(here / "joined.csv")
    assert rows.pop("broken.png")["error"]
    assert {path: row["prediction"] for path, row in rows.items()} == {
        f"{shade} {shape}.png": f"{shade} {shape}"
        for shade, shape in itertools.product(SHADES, SHAPES)
    }


@pytest.mark.parametrize("method", ["vote", "stack"])
def test_candidates_answer_together(
    here: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    """A model of two voices, each on its own backbone, from the fit to the scores."""
    flags = ["--cv", "3", "--select", "best", "-j", "1", "--name", method, "--ensemble", method]
    assert run("fit", "photos", *TWO, *flags, "--calibrate", "temperature", "-v") == 0
    assert f"{JOINED}  {method}" in capsys.readouterr().out
    results = json.loads((here / "runs" / method / "results.json").read_text())
    assert [c["head"] for c in results["candidates"]] == ["logreg", "logreg", method]
    assert (results["chosen"]["head"], results["chosen"]["backbone"]) == (method, JOINED)
    assert len(results["chosen"]["params"]["members"]) == 2
    assert results["estimate"]["method"] == "nested"
    assert results["estimate"]["metrics"]["accuracy"]["value"] > 0.8  # alone they reach a half

    model = featx.load_model(here / "runs" / method)
    first, second = (spec.n_features for spec in model.specs)
    columns = sorted(voice.columns for voice in model.head.members)
    assert columns == [(0, first), (first, first + second)]
    assert run("score", f"runs/{method}", "new", "-o", f"{method}.csv") == 0
    rows = scored(here / f"{method}.csv")
    assert rows.pop("broken.png")["error"]
    assert all(row["prediction"] == path.removesuffix(".png") for path, row in rows.items())
    assert all(row["prediction_set"] and row["ood_score"] for row in rows.values())


def test_without_it_they_only_compete(here: Path) -> None:
    run_ = featx.fit(
        "photos", backbone=BACKBONES, **SETTINGS, cv=3, estimate="cv", jobs=1, name="apart"
    )
    assert [c["backbone"] for c in run_.results["candidates"]] == BACKBONES
    assert len(run_.model.extractors) == 1


def test_side_by_side_needs_several(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fit", "photos", *TWO[:2], *ASKED, *FLAGS, "--concat") == 2
    said = capsys.readouterr().err
    assert "there is only timm:test_resnet." in said
    assert "--backbone A --backbone B" in said


@pytest.fixture
def model(here: Path) -> Model:
    """Logistic regression on the second backbone's embeddings beside the first's."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    second, first = featx.extract("photos", backbone=BACKBONES[::-1], **SETTINGS)
    pipeline = Pipeline([("scaler", StandardScaler()), ("head", LogisticRegression())])
    pipeline.fit(np.hstack([second.X, first.X]), first.y)
    parts = [ModelExtractor(dict(e.spec.document), e.request) for e in (second, first)]
    return Model(classes=pipeline.classes_.tolist(), head=pipeline, extractors=parts)


def test_images_are_named_plainly_in_what_a_fit_says(here: Path) -> None:
    extraction = featx.extract("photos", backbone=BACKBONES[0], **SETTINGS)
    data = gather([extraction])
    data.X[extraction.name] = np.full_like(data.X[extraction.name], np.nan)
    with pytest.raises(FitError, match=rf"that of '{data.ids[0]}'\."):
        data.check()


def test_columns_are_in_the_models_order(model: Model, here: Path) -> None:
    scores = score(model, "new", cache=here / "cache")
    second, first = featx.extract("new", backbone=BACKBONES[::-1], **SETTINGS)
    expected = model.predict_proba(np.hstack([second.X, first.X]))
    read = [p is not None for p in scores.predictions]
    assert read.count(False) == 1
    np.testing.assert_array_equal(scores.probabilities[read], expected)


def test_each_is_computed_and_kept_under_its_own_fingerprint(
    model: Model, here: Path, tmp_path: Path
) -> None:
    """What one backbone's store lacks does not move the other's rows."""
    kept = score(model, "new", cache=here / "cache")
    assert kept.report["computed"] == 0
    score(model, "new", cache=tmp_path / "fresh")
    stores = [EmbeddingStore.open(tmp_path / "fresh", spec) for spec in model.specs]
    assert [len(store) for store in stores] == [4, 4]
    again = score(model, "new", cache=tmp_path / "fresh")
    assert again.report["computed"] == 0
    assert again.ids == kept.ids
    assert [f.id for f in again.failures] == ["broken.png"]


def test_a_file_of_weights_has_one_owner(model: Model, here: Path) -> None:
    with pytest.raises(UsageError, match=r"the model uses timm:test_eff\S+ and timm:test_res"):
        score(model, "new", cache=here / "cache", weights="w.safetensors")
