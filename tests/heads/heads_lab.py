"""Small classes of embeddings and the ways they are fitted, for the tests of heads."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from featx.artifact import Model, ModelExtractor, load_model, save_model
from featx.fitting import FitData
from featx.heads import FittedHead


def blobs(
    counts: Sequence[int], *, n_features: int = 8, distance: float = 3.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian classes of the given sizes, ``distance`` from the middle: float32 X, int y."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    centres = rng.normal(size=(len(counts), n_features))
    centres *= distance / np.linalg.norm(centres, axis=1, keepdims=True)
    return (centres[y] + rng.normal(size=(len(y), n_features))).astype(np.float32), y


def data(counts: Sequence[int], **options: Any) -> FitData:
    """The same as embeddings of images ``0.png``, ``1.png``, ... of classes ``c0``, ``c1``, ..."""
    X, y = blobs(counts, **options)
    digests = [hashlib.sha256(row.tobytes()).digest() for row in X]
    return FitData(
        X={"net": X},
        y=np.array([f"c{c}" for c in y]),
        ids=[f"{i}.png" for i in range(len(y))],
        hashes=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32),
    )


def pipeline(head: Any, X: np.ndarray, y: np.ndarray) -> Pipeline:
    """Scaler and head, fitted to labels ``c0``, ``c1``, ..."""
    fitted: Pipeline = Pipeline([("scaler", StandardScaler()), ("head", head)])
    return fitted.fit(X, np.array([f"c{c}" for c in y]))


def reread(fitted: Pipeline) -> FittedHead:
    """A pipeline saved as a model and loaded again."""
    extractor = ModelExtractor(
        {"backbone": "x", "n_features": fitted.n_features_in_}, {"name": "x"}
    )
    model = Model([str(label) for label in fitted.classes_], fitted, [extractor])
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, f"{folder}/m")
        head = load_model(f"{folder}/m").head
    assert isinstance(head, FittedHead)
    return head
