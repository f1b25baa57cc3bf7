"""The nearest class mean: what it is, with how little it works, and what it is not made to do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid
from sklearn.utils.estimator_checks import check_estimator

from featx.config import FitConfig
from featx.fitting import fit_heads
from featx.heads._prototypes import PrototypeClassifier
from tests.heads.heads_lab import blobs, data

METRICS = ["cosine", "euclidean"]


@pytest.mark.parametrize("metric", METRICS)
def test_scikit_learns_checks_pass(metric: str) -> None:
    check_estimator(PrototypeClassifier(metric=metric), on_skip=None)


def test_margins_are_half_the_squared_distances() -> None:
    X, y = blobs((20, 9, 4))
    head = PrototypeClassifier("euclidean").fit(X, y)
    means = np.stack([X[y == c].mean(axis=0, dtype=np.float64) for c in range(3)])
    squared = ((X[:, None].astype(np.float64) - means) ** 2).mean(axis=2)
    shared = (X.astype(np.float64) ** 2).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(head.decision_function(X), (shared - squared) / 2, rtol=1e-9)
    np.testing.assert_array_equal(head.predict(X), NearestCentroid().fit(X, y).predict(X))


def test_margins_are_cosines() -> None:
    X, y = blobs((20, 9, 4))
    margins = PrototypeClassifier("cosine").fit(X, y).decision_function(X)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    for c in range(3):
        mean = unit[y == c].mean(axis=0)
        expected = unit @ mean / np.linalg.norm(mean)
        np.testing.assert_allclose(margins[:, c], expected, atol=1e-6)
    longer = PrototypeClassifier("cosine").fit(X * 7, y).decision_function(X * 0.1)
    np.testing.assert_allclose(longer, margins, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_two_classes_have_one_margin(metric: str) -> None:
    X, y = blobs((9, 5, 1))
    two = y < 2
    three = PrototypeClassifier(metric).fit(X, y).decision_function(X)
    one = PrototypeClassifier(metric).fit(X[two], y[two]).decision_function(X)
    np.testing.assert_allclose(one, three[:, 1] - three[:, 0], atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_classes", [2, 40])
def test_one_image_a_class_finds_itself(metric: str, n_classes: int) -> None:
    X, y = blobs([1] * n_classes, n_features=30)
    np.testing.assert_array_equal(PrototypeClassifier(metric).fit(X, y).predict(X), y)


def test_an_embedding_of_zeros_is_no_fault() -> None:
    head = PrototypeClassifier().fit(np.array([[0.0, 0.0], [1.0, 0.0]], np.float32), [0, 1])
    assert np.isfinite(head.decision_function(np.zeros((1, 2), np.float32))).all()


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_two_images_a_class_are_enough_for_a_whole_fit() -> None:
    """Each fold trains on one image a class."""
    result = fit_heads(
        data([2] * 6, n_features=40, distance=12.0),
        FitConfig(head=["prototypes"], cv=2, estimate="cv"),
    )
    assert result.estimate["metrics"]["accuracy"]["value"] > 0.6
    assert result.temperature is not None
    assert np.isfinite(result.estimate["metrics"]["log_loss"]["value"])


def test_a_class_missing_from_training_has_probability_0() -> None:
    result = fit_heads(data((12, 10, 1)), FitConfig(head=["prototypes"], cv=3, estimate="cv"))
    [held] = result.held[:1]
    lonely = held.proba[held.part.y == 2]
    np.testing.assert_array_equal(lonely[:, 2], 0)
    np.testing.assert_allclose(held.proba.sum(axis=1), 1)


def test_a_metric_that_is_not_one_is_refused() -> None:
    with pytest.raises(ValueError, match="'manhattan'"):
        PrototypeClassifier("manhattan").fit(*blobs((3, 3)))
