"""What starts quickly imports only what it uses; each case has an interpreter of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from featx.artifact import Model, ModelExtractor, save_model
from featx.artifact.calibration import Isotonic
from featx.artifact.decision import Cutoff
from featx.artifact.ensemble import EnsembleHead, Member
from featx.artifact.novelty import Novelty
from featx.artifact.trust import NoveltyLimit, PredictionSets, Trust
from featx.cli.main import featx
from featx.data.hashing import content_hash
from featx.heads._boosting import BoostedTreesClassifier
from featx.heads._mlp import PerceptronClassifier
from featx.heads._neighbours import NearestClassifier
from featx.heads._prototypes import PrototypeClassifier
from featx.store import EmbeddingStore
from featx.types import Preprocess

HEAVY = {"torch", "torchvision", "timm", "sklearn", "scipy", "skops", "imblearn", "pyarrow", "ray"}
MIDDLING = {"numpy", "h5py", "PIL", "pydantic", "rich", "yaml"}
N_FEATURES = 8


def watched(name: str) -> bool:
    """Whether a test here cares for the module."""
    return name in HEAVY | MIDDLING | {"click"} or name.startswith("featx.cli.")


def imported(tmp_path: Path, code: str, *arguments: str) -> set[str]:
    """Names of the `watched` modules in memory once ``code`` has run."""
    report = tmp_path / "modules.json"
    probe = (
        f"import atexit, json, sys\n"
        f"atexit.register(lambda: json.dump(list(sys.modules), open({str(report)!r}, 'w')))\n{code}"
    )
    result = subprocess.run(
        [sys.executable, "-c", probe, *arguments],
        cwd=tmp_path,
        env={**os.environ, "FEATX_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return {name for name in json.loads(report.read_text()) if watched(name)}


COMMAND = "import featx.cli.main\nfeatx.cli.main.main(sys.argv[1:])"


def test_help_imports_click_and_no_command(tmp_path: Path) -> None:
    found = imported(tmp_path, COMMAND, "--help")
    assert "click" in found
    assert not found & (HEAVY | MIDDLING)
    ours = {m for m in found if m.startswith("featx.cli.")}
    assert all(m == "featx.cli.main" or m.startswith("featx.cli._") for m in ours)


def test_the_list_of_commands_says_what_the_commands_say() -> None:
    assert isinstance(featx, click.Group)
    context = click.Context(featx)
    formatter = click.HelpFormatter(width=500)
    featx.format_commands(context, formatter)
    told = dict(re.findall(r"^  (\w+) +(.*)$", formatter.getvalue(), re.MULTILINE))
    commands = {name: featx.get_command(context, name) for name in featx.list_commands(context)}
    assert told == {k: c and c.get_short_help_str(limit=1000) for k, c in commands.items()}
    assert len(told) > 8


@pytest.mark.parametrize("name", ["extract", "fit", "score", "run", "inspect"])
def test_help_of_one_command(tmp_path: Path, name: str) -> None:
    assert not imported(tmp_path, COMMAND, name, "--help") & (HEAVY | MIDDLING - {"pydantic"})


@pytest.mark.parametrize("module", ["featx.api.score", "featx.api.extract", "featx.api.run"])
def test_the_library_before_it_is_used(tmp_path: Path, module: str) -> None:
    assert not imported(tmp_path, f"import {module}") & (HEAVY | {"h5py", "rich", "yaml"})


def fitted(head: Any, document: dict[str, Any]) -> Model:
    """Two classes of random embeddings."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, N_FEATURES)).astype(np.float32)
    y = np.array(["a", "b"] * 15)
    pipeline = Pipeline([("scaler", StandardScaler()), ("head", head)]).fit(X, y)
    extractors = [ModelExtractor(document, {"name": "featx:x"})]
    return Model(classes=["a", "b"], head=pipeline, extractors=extractors)


DOCUMENT = {
    "backbone": "featx:x",
    "n_features": N_FEATURES,
    "preprocess": Preprocess(size_px=(32, 32)).document(),
    "numerics": {"engine": "torch", "device": "cpu", "precision": "fp32"},
}
PREDICT = (
    "import numpy as np, featx\n"
    "model = featx.load_model(sys.argv[1])\n"
    f"assert model.predict_proba(np.ones((3, {N_FEATURES}), np.float32)).shape == (3, 2)"
)


@pytest.mark.parametrize(
    "head",
    [
        LogisticRegression(),
        SVC(),
        PrototypeClassifier(),
        PerceptronClassifier(4, epochs=1),
        BoostedTreesClassifier(max_iter=2),
        NearestClassifier(weights="distance"),
        DummyClassifier(),
    ],
    ids=["logreg", "svm-rbf", "prototypes", "mlp", "hist-gradient-boosting", "knn", "dummy"],
)
def test_a_model_loads_and_predicts_by_numpy_alone(tmp_path: Path, head: Any) -> None:
    save_model(fitted(head, DOCUMENT), tmp_path / "m")
    assert not imported(tmp_path, PREDICT, "m") & (HEAVY | {"h5py", "PIL", "rich", "yaml"})


def test_an_ensemble_of_such_heads_needs_numpy_alone(tmp_path: Path) -> None:
    model = fitted(LogisticRegression(), DOCUMENT)
    members = [Member([model.head], (0, N_FEATURES)), Member([model.head] * 2, (0, N_FEATURES))]
    model.head = EnsembleHead(np.array(["a", "b"]), N_FEATURES, members)
    save_model(model, tmp_path / "m")
    assert not imported(tmp_path, PREDICT, "m") & (HEAVY | {"h5py", "PIL", "rich", "yaml"})


def test_what_says_how_far_to_trust_it_needs_numpy_alone(tmp_path: Path) -> None:
    arrays = np.zeros((1, N_FEATURES)), np.zeros((0, N_FEATURES)), np.zeros(0), np.ones(1)
    trust = Trust(
        calibration=Isotonic(scores=[[0.0, 1.0]] * 2, probabilities=[[0.1, 0.9]] * 2),
        decision=Cutoff(column=0, cutoff=0.1),
        sets=PredictionSets(coverage=0.9, over="images", thresholds=[0.1, 0.1]),
        novelty=NoveltyLimit(rate=0.01, limit=1.0),
    )
    model = fitted(LogisticRegression(), DOCUMENT)
    model.trust, model.novelty = trust, Novelty(*(a.astype(np.float32) for a in arrays))
    save_model(model, tmp_path / "m")
    asked = PREDICT + f"\nX = np.ones((3, {N_FEATURES}), np.float32)" + (
        "\nassert model.ood_scores(X).shape == (3,) and model.predict_sets(X).all()"
    )  # fmt: skip
    assert not imported(tmp_path, asked, "m") & (HEAVY | {"h5py", "PIL", "rich", "yaml"})


def test_scoring_what_the_cache_holds_imports_no_network(tmp_path: Path) -> None:
    model = fitted(LogisticRegression(), DOCUMENT)
    save_model(model, tmp_path / "m")
    rng = np.random.default_rng(1)
    hashes = []
    for i in range(3):
        path = tmp_path / "new" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(path)
        hashes.append(np.frombuffer(content_hash(path.read_bytes()), np.uint8))
    EmbeddingStore.open(tmp_path / "cache", model.specs[0]).add(
        np.array(hashes), rng.normal(size=(3, N_FEATURES)).astype(np.float32)
    )
    assert not imported(tmp_path, COMMAND, "score", "m", "new") & (HEAVY | {"rich", "yaml"})
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 4
