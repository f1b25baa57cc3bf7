"""Small fitted models."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from featx.artifact import Model, ModelExtractor

N_FEATURES = 12
DOCUMENT = {"backbone": "timm:toy", "n_features": N_FEATURES, "weights": "0" * 64}


def embeddings(n: int, seed: int = 0) -> np.ndarray:
    """Random float32 embeddings, shape (n, 12)."""
    return np.random.default_rng(seed).normal(size=(n, N_FEATURES)).astype(np.float32)


def build(classes: Sequence[str] = ("cat", "dog", "owl"), head: Any = None, **fields: Any) -> Model:
    """A model fitted on 10 random embeddings a class."""
    y = np.array([name for name in classes for _ in range(10)])
    pipeline = Pipeline([("scaler", StandardScaler()), ("head", head or LogisticRegression())])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline.fit(embeddings(len(y)) + np.arange(len(y), dtype=np.float32)[:, None] / 10, y)
    values: dict[str, Any] = {
        "classes": [str(name) for name in pipeline.classes_],
        "head": pipeline,
        "extractors": [ModelExtractor(dict(DOCUMENT), {"name": "timm:toy"})],
        "metrics": {"balanced_accuracy": {"value": 0.875, "low": 0.8, "high": 0.9}},
        "provenance": {"dataset": "photos", "n_images": 30, "seed": 0},
    }
    return Model(**values | fields)


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Model]:
    """The function `build`."""
    return build


@pytest.fixture(scope="session")
def model() -> Model:
    """Three classes, logistic regression."""
    return build()


@pytest.fixture(scope="session")
def X() -> np.ndarray:
    """Embeddings to predict."""
    return embeddings(17, seed=1)


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """The file that a payload would create."""
    return tmp_path / "executed"
