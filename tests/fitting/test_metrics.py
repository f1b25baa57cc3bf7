"""Metrics against scikit-learn's, intervals against theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from featx.margins import margin_probabilities
from featx.stats.calibration import fit_temperature
from featx.stats.comparison import corrected_paired_test
from featx.stats.intervals import describe_predictions
from featx.stats.metrics import (
    class_counts,
    class_metrics,
    confusion_matrix,
    count_metrics,
    fold_score,
    log_losses,
    roc_auc_ovr,
)

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=50)


@given(LABELS)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_count_metrics_are_scikit_learns(pairs):
    y, said = np.array(pairs).T
    ours = count_metrics(*class_counts(y, said, 4))
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(y, said))
    assert ours["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, said))
    assert ours["f1_macro"] == pytest.approx(reference.f1_score(y, said, average="macro"))
    assert ours["f1_weighted"] == pytest.approx(reference.f1_score(y, said, average="weighted"))
    assert ours["matthews"] == pytest.approx(reference.matthews_corrcoef(y, said))
    np.testing.assert_array_equal(
        confusion_matrix(y, said, 4), reference.confusion_matrix(y, said, labels=range(4))
    )
    if len(set(y) | set(said)) > 1:
        assert ours["cohen_kappa"] == pytest.approx(reference.cohen_kappa_score(y, said))


@given(LABELS)
def test_class_metrics_are_scikit_learns_and_undefined_is_nan(pairs):
    y, said = np.array(pairs).T
    ours = class_metrics(*class_counts(y, said, 4))
    theirs = reference.precision_recall_fscore_support(
        y, said, labels=range(4), zero_division=np.nan
    )
    for name, values in zip(("precision", "recall", "f1"), theirs, strict=False):
        np.testing.assert_allclose(ours[name], values)


@given(st.integers(0, 10_000))
def test_ranking_and_likelihood_are_scikit_learns_with_ties(seed):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(3), rng.integers(0, 3, 20)])
    scores = rng.integers(1, 4, (23, 3)).astype(float)  # few values, many ties
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    assert roc_auc_ovr(y, probabilities)[0] == pytest.approx(
        reference.roc_auc_score(y, probabilities, multi_class="ovr")
    )
    assert log_losses(y, probabilities).mean() == pytest.approx(
        reference.log_loss(y, probabilities, labels=range(3))
    )


@given(st.integers(0, 10_000))
def test_weighted_ranking_equals_repeated_images(seed):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(3), rng.integers(0, 3, 12)])
    probabilities = rng.dirichlet(np.ones(3), 15).round(1)
    weights = rng.integers(1, 4, (2, 15))
    for b, area in enumerate(roc_auc_ovr(y, probabilities, weights.astype(float))):
        again = np.repeat(np.arange(15), weights[b])
        assert area == pytest.approx(roc_auc_ovr(y[again], probabilities[again])[0])


def test_a_class_without_images_does_not_count_in_a_fold():
    y = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.1, 0.7], [0.1, 0.9, 0], [0.3, 0.6, 0.1]])
    assert fold_score("balanced_accuracy", y, probabilities) == 0.75
    assert fold_score("roc_auc_ovr", y, probabilities) == pytest.approx((0.75 + 1) / 2)
    assert fold_score("neg_log_loss", y, probabilities) == pytest.approx(
        np.log([0.8, 0.2, 0.9, 0.6]).mean()
    )


def one_hot(said, n_classes=2):
    return np.eye(n_classes)[said] * 0.8 + 0.2 / n_classes


def test_interval_of_accuracy_is_the_binomial_one():
    from scipy.stats import binom

    said = np.array([0] * 160 + [1] * 40)
    described = describe_predictions(
        np.zeros(200, int), one_hot(said), ["a", "b"], np.arange(200), unit="images", seed=0
    )
    accuracy = described["metrics"]["accuracy"]
    assert accuracy["value"] == 0.8
    for end, quantile in (("low", 0.025), ("high", 0.975)):
        assert accuracy[end] == pytest.approx(binom.ppf(quantile, 200, 0.8) / 200, abs=0.008)
    assert described["interval"] == "95 % percentile bootstrap over 200 images, 2000 resamples"


def test_images_of_one_group_count_once():
    """Twenty groups, each all right or all wrong: as uncertain as twenty images."""
    right = np.repeat([1] * 14 + [0] * 6, 50)
    y = np.ones(1000, int)
    groups = np.repeat(np.arange(20), 50)

    def width(units):
        described = describe_predictions(y, one_hot(right), ["a", "b"], units, unit="units", seed=0)
        return described["metrics"]["accuracy"]["high"] - described["metrics"]["accuracy"]["low"]

    assert width(groups) == pytest.approx(width(np.arange(1000)) * math.sqrt(50), rel=0.1)


def test_undefined_is_null_and_absent_classes_do_not_break_intervals():
    y = np.array([0] * 30 + [1] * 30 + [2])
    said = np.array([0] * 25 + [1] * 36)  # the third class is never said
    described = describe_predictions(
        y, one_hot(said, 4), list("abcd"), np.arange(61), unit="images", seed=0
    )
    assert described["per_class"]["c"]["precision"] == {"value": None, "low": None, "high": None}
    assert described["per_class"]["c"]["recall"]["value"] == 0
    assert described["per_class"]["d"]["recall"]["value"] is None
    balanced = described["metrics"]["balanced_accuracy"]
    # Resamples without the class that is always wrong would average over two classes: up to 1.
    assert balanced["value"] == pytest.approx((25 / 30 + 1 + 0) / 3)
    assert balanced["high"] < 0.67


def test_same_seed_same_interval():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    probabilities = rng.dirichlet(np.ones(3), 90)
    args = (y, probabilities, list("abc"), np.arange(90))
    a, b, c = (describe_predictions(*args, unit="images", seed=s) for s in (0, 0, 1))
    assert a == b != c


def test_corrected_test_by_hand():
    """Differences 1..5 %, mean 3 %, variance 2.5e-4: the error is sqrt((1/5 + 1/4) 2.5e-4)."""
    test = corrected_paired_test([0.01, 0.02, 0.03, 0.04, 0.05], test_ratio=1 / 4)
    error = math.sqrt(0.45 * 2.5e-4)
    assert test.mean == pytest.approx(0.03)
    assert test.high - test.mean == pytest.approx(2.7764451 * error)  # t table, 4 d.f.
    assert test.p == pytest.approx(0.0474, abs=5e-4)


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.1, 0.0)])
def test_equal_differences_have_no_width(value, p):
    test = corrected_paired_test([value] * 4, test_ratio=1 / 3)
    assert (test.low, test.high, test.p) == (value, value, p)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 7.0])
def test_temperature_is_recovered(temperature):
    rng = np.random.default_rng(0)
    margins = rng.normal(size=(20_000, 4)) * temperature * 2
    probabilities = margin_probabilities(margins, temperature)
    y = (probabilities.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(margins, y) == pytest.approx(temperature, rel=0.05)


def test_temperature_ignores_images_of_unknown_classes():
    margins = np.array([[1.0, 0.0, -np.inf], [0.0, 1.0, -np.inf], [0.5, 0.2, -np.inf]] * 5)
    y = np.array([0, 0, 2] * 5)
    known = y < 2
    assert fit_temperature(margins, y) == fit_temperature(margins[known], y[known])
    assert fit_temperature(margins[~known], y[~known]) == 1.0


def test_margins_become_probabilities():
    np.testing.assert_allclose(
        margin_probabilities([2.0, 0.0], 1.0)[:, 1], [1 / (1 + np.exp(-2)), 0.5]
    )
    assert margin_probabilities([[0.0, -np.inf, 1.0]], 0.5)[0, 1] == 0
