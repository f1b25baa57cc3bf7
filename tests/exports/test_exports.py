"""Exported networks say what featx says; their pixels are Pillow's."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import featx
from featx.artifact import Model
from featx.artifact.calibration import Isotonic, Sigmoid, Temperature
from featx.artifact.decision import Costs, Cutoff
from featx.artifact.ensemble import EnsembleHead, Member, head_probabilities
from featx.artifact.trust import Trust
from featx.data.preprocess import preprocess_image
from featx.errors import ModelError, UsageError
from featx.exporting.network import _is_network
from featx.exports import NetworkPart
from featx.exports._graph import pixels
from featx.exports._head import in_torch
from featx.heads._boosting import BoostedTreesClassifier
from featx.heads._mlp import PerceptronClassifier
from featx.heads._neighbours import NearestClassifier
from featx.heads._prototypes import PrototypeClassifier
from featx.types import Preprocess

REPOSITORY = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8)).astype(np.float32)
NEW = np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32) + 0.5
COSTS = [[0.0, 1.0, 9.0], [2.0, 0.0, 1.0], [5.0, 1.0, 0.0]]
HEADS = [
    LogisticRegression(),
    LinearDiscriminantAnalysis(),
    RidgeClassifier(),
    DummyClassifier(),
    NearestClassifier(3, weights="distance"),
    BoostedTreesClassifier(max_iter=4, random_state=0),
    SVC(break_ties=True),
    SVC(kernel="linear", break_ties=True),
    PrototypeClassifier(),
    PrototypeClassifier(metric="cosine"),
    PerceptronClassifier(4, epochs=2),
    PerceptronClassifier(4, epochs=2, activation="gelu"),
]


def fitted(head: Any, n_classes: int) -> Any:
    y = np.array(["a", "b", "c"])[np.arange(60) % n_classes]
    steps = [("scaler", StandardScaler()), ("pca", PCA(5, random_state=0)), ("head", head)]
    return Pipeline(steps).fit(X + (np.arange(60) % n_classes)[:, None] / 2, y)


def says(head: Any, calibration: Any = None) -> np.ndarray:
    embeddings = torch.tensor(NEW, dtype=torch.float64)
    return np.asarray(head_probabilities(in_torch(head), embeddings, calibration).numpy())


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("head", HEADS, ids=str)
def test_heads_are_what_featx_computes(head: Any, n_classes: int) -> None:
    pipeline = fitted(head, n_classes)
    calibrations = [
        None,
        Temperature(temperature=1.7),
        Sigmoid(slopes=[1.1, 0.8, 2.0][:n_classes], offsets=[0.1, -0.2, 0.3][:n_classes]),
        Isotonic(
            scores=[[-1.0, 0.0, 0.0, 2.0]] * n_classes,
            probabilities=[[0.1, 0.2, 0.4, 0.9]] * n_classes,
        ),
    ]
    for calibration in calibrations:
        want = head_probabilities(pipeline, NEW, calibration)
        np.testing.assert_allclose(says(pipeline, calibration), want, atol=2e-5)


def test_an_ensemble_is_what_featx_computes() -> None:
    heads = [fitted(LogisticRegression(), 3), fitted(RidgeClassifier(), 3)]
    voices = [
        Member([heads[0]] * 2, (0, 8)),
        Member([heads[1]], (0, 8), Temperature(temperature=2)),
    ]
    ensemble = EnsembleHead(np.array(["a", "b", "c"]), 8, voices)
    np.testing.assert_allclose(says(ensemble), ensemble.predict_proba(NEW), atol=1e-5)


@pytest.mark.parametrize(
    "decision",
    [
        None,
        Cutoff(column=1, cutoff=0.2),
        Costs(costs=COSTS),
    ],
)
def test_decisions_are_what_featx_decides(decision: Any) -> None:
    pipeline, trust = fitted(LogisticRegression(), 3), Trust(decision=decision)
    embeddings = torch.tensor(NEW, dtype=torch.float64)
    there = trust.decide(head_probabilities(in_torch(pipeline), embeddings))
    assert there.tolist() == trust.decide(head_probabilities(pipeline, NEW)).tolist()


@pytest.mark.parametrize("interpolation", ["box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.parametrize("size_px", [(32, 32), (24, 40)])
def test_pixels_are_those_of_pillow(resize: Any, interpolation: Any, size_px: Any) -> None:
    preprocess = Preprocess(size_px=size_px, resize=resize, interpolation=interpolation)
    for shape in [(45, 67), (150, 40), (90, 31), (20, 25), (33, 32)]:
        image = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
        want = preprocess_image(Image.fromarray(image), preprocess).astype(int)
        apart = np.abs(pixels(NetworkPart(None, 0, preprocess), image).astype(int) - want)
        assert apart.max() <= 1  # a tie that rounding decides
        assert (apart > 0).mean() < 0.05


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i in range(9):
        noise = RNG.integers(0, 256, (40 + i, 50 - i, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def model(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = featx.extract(
            photos,
            backbone="timm:test_resnet",
            pretrained=False,
            size=32,
            precision="fp32",
            device="cpu",
            cache=tmp_path_factory.mktemp("cache"),
        )
    from featx.artifact import ModelExtractor

    y = np.array(["<b>", "cat", "dog"] * 3)
    pipeline = Pipeline([("scaler", StandardScaler()), ("head", LogisticRegression())])
    return Model(
        classes=["<b>", "cat", "dog"],
        head=pipeline.fit(made.X, y),
        extractors=[ModelExtractor(dict(made.spec.document), made.request)],
    )


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_file_says_what_featx_says(
    name: str, model: Model, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime" if name == "onnx" else "openvino")
    target = tmp_path / {"onnx": "model.onnx", "openvino": "model.xml"}[name]
    done = featx.export_model(model, target, to=name, images=str(photos))
    # OpenVINO computes float64 as float32: pixels of noise that are ties of rounding fall the
    # other way, which no other image shows as clearly
    assert done.largest_difference < {"onnx": 1e-3, "openvino": 1e-2}[name]
    assert done.other_class == 0
    assert done.n_images == 9
    assert len(list(tmp_path.iterdir())) == {"onnx": 1, "openvino": 2}[name]
    assert all(map(_is_network, tmp_path.iterdir())), "--overwrite would refuse its own"
    with pytest.raises(UsageError, match="exists"):
        featx.export_model(model, target, to=name, images=str(photos))
    if name == "onnx":
        the_script_of_the_page_runs(photos, tmp_path, monkeypatch)


def the_script_of_the_page_runs(photos: Path, tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    page = (REPOSITORY / "docs/export.md").read_text("utf-8")
    [script] = re.findall(r"```python\n(import json.*?)```", page, re.DOTALL)
    (tmp_path / "photo.jpg").write_bytes((photos / "3.png").read_bytes())
    patch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(script, names)
    assert names["classes"] == ["<b>", "cat", "dog"]
    assert names["probabilities"].shape == (1, 3)
    assert json.loads(names["session"].get_modelmeta().custom_metadata_map["backbones"])


def test_no_images_to_check_with_is_said(model: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--images FOLDER"):
        featx.export_model(model, tmp_path / "m.xml", to="openvino")


def test_a_difference_above_the_tolerance_leaves_no_file(
    model: Model, photos: Path, tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    with pytest.raises(ModelError, match="does not match the model: over 9 images"):
        featx.export_model(
            model, tmp_path / "m.xml", to="openvino", images=str(photos), tolerance=0.0
        )
    assert list(tmp_path.iterdir()) == []
