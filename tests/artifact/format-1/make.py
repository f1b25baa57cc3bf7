"""How the models in this folder were made: by featx 0.1.0 (commit 308fd4c), whose heads were skops.

    python tests/artifact/format-1/make.py FOLDER

Later versions read them and write another format, so that this runs with that version only.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from featx.artifact import Model, ModelExtractor, load_model, save_model
from featx.artifact.calibration import Isotonic, Sigmoid, Temperature
from featx.artifact.decision import Costs
from featx.artifact.document import _digest
from featx.artifact.ensemble import EnsembleHead, Voice, stack_features
from featx.artifact.novelty import Novelty
from featx.artifact.trust import NoveltyLimit, PredictionSets, Trust

WIDTH = 5
PARAMETERS: dict[str, dict[str, Any]] = {
    "hist-gradient-boosting": {"max_iter": 3, "max_leaf_nodes": 4},
    "mlp": {"hidden_layer_sizes": "4,3", "epochs": 3, "activation": "gelu"},
}
HEADS = ["dummy", "elastic-net", "hist-gradient-boosting", "knn", "lda", "logreg", "mlp",
         "prototypes", "ridge", "svm-linear", "svm-rbf"]  # fmt: skip


def rows(n: int, seed: int) -> np.ndarray:
    """Embeddings in float64, whose products differ least between machines."""
    return np.random.default_rng(seed).normal(size=(n, WIDTH))


def fitted(name: str, classes: list[str], columns: slice, pca: bool = False) -> Pipeline:
    """Scaler and head on eight overlapping embeddings a class."""
    y = np.repeat(np.arange(len(classes)), 8)
    X = rows(len(y), 0) + np.random.default_rng(1).normal(size=(len(classes), WIDTH))[y]
    plugin = importlib.import_module(f"featx.heads.{name.replace('-', '_')}").PLUGIN
    head = plugin.build(None, 0).set_params(**PARAMETERS.get(name, {}))
    steps = [("pca", PCA(3, random_state=0))] if pca else []
    pipeline = Pipeline([("scaler", StandardScaler()), *steps, ("head", head)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipeline.fit(X[:, columns].astype(np.float32), np.array(classes)[y])


def ensemble(stacked: bool) -> EnsembleHead:
    """Voices of different kinds on different columns."""
    classes, whole, part = ["cat", "dog", "owl"], slice(0, WIDTH), slice(2, WIDTH)
    voices = [
        Voice([fitted("logreg", classes, part)] * 2, (2, WIDTH),
              Sigmoid(slopes=[1.0, 2.0, 1.5], offsets=[0.0, -0.1, 0.2])),
        Voice([fitted("svm-rbf", classes, whole)], (0, WIDTH), Temperature(temperature=2.0)),
        Voice([fitted("knn", classes, part)], (2, WIDTH)),
    ]  # fmt: skip
    head = EnsembleHead(np.array(classes), WIDTH, voices)
    if not stacked:
        return head
    X, y = rows(24, 0), np.repeat(classes, 8)
    features = stack_features([voice.probabilities(X) for voice in voices])
    stack = Pipeline([("head", importlib.import_module("featx.heads.logreg").build(None, 0))])
    return EnsembleHead(np.array(classes), WIDTH, voices, stack.fit(features, y))


def trusted() -> dict[str, Any]:
    """A model that says how far to trust it, with every kind of array."""
    arrays = rows(3, 4), np.zeros((0, WIDTH)), np.zeros(0), np.ones(1)
    return {
        "trust": Trust(
            calibration=Isotonic(
                scores=[[-1.0, 0.0, 2.0]] * 3, probabilities=[[0.1, 0.3, 0.9]] * 3
            ),
            decision=Costs(costs=[[0.0, 1.0, 1.0], [2.0, 0.0, 1.0], [5.0, 1.0, 0.0]]),
            sets=PredictionSets(coverage=0.9, over="images", thresholds=[0.2] * 3),
            novelty=NoveltyLimit(rate=0.01, limit=2.0),
        ),
        "novelty": Novelty(*(a.astype(np.float32) for a in arrays)),
    }


def as_format_1(folder: Path) -> None:
    """What featx wrote while a model had one extractor."""
    values = json.loads((folder / "model.json").read_bytes())
    values.pop("sha256")
    [only] = values.pop("extractors")
    values |= {"format_version": 1, "request": only.pop("request"), "extractor": only}
    values["sha256"] = _digest(values)
    (folder / "model.json").write_text(json.dumps(values))


def deflate(path: Path) -> None:
    """A quarter of the bytes: what is small enough to keep."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def main(folder: Path) -> None:
    """Save every model, and what it says of embeddings."""
    heads: dict[str, Any] = {
        f"{name}-{len(classes)}": fitted(name, classes, slice(0, WIDTH))
        for name in HEADS
        for classes in (["no", "yes"], ["cat", "dog", "owl"])
    }
    heads["pca"] = fitted("logreg", ["cat", "dog", "owl"], slice(0, WIDTH), pca=True)
    heads |= {"vote": ensemble(False), "stack": ensemble(True)}
    heads |= {"trust": heads["logreg-3"], "old": heads["lda-3"]}
    X, expected = rows(9, 2), {}
    for name, head in heads.items():
        classes = [str(label) for label in head.classes_]
        extractors = [ModelExtractor({"backbone": "x", "n_features": WIDTH}, {"name": "x"})]
        fields = trusted() if name == "trust" else {}
        path = folder / ("old" if name == "old" else f"{name}.featx")
        save_model(Model(classes, head, extractors, temperature=1.5, **fields), path)
        if name == "old":
            as_format_1(path)
        else:
            deflate(path)
        model = load_model(path)
        with np.errstate(divide="ignore"):
            margins = np.maximum(model.decision_function(X), -1e300)
        scores = model.ood_scores(X)
        expected[name] = {
            "predict": model.predict(X).tolist(),
            "predict_proba": model.predict_proba(X).tolist(),
            "decision_function": margins.tolist(),
            "ood_scores": None if scores is None else scores.tolist(),
        }
    document = {"X": X.tolist(), "models": expected}
    (folder / "expected.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
