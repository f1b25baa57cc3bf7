"""Metrics against scikit-learn's, intervals against theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from featx.margins import margin_probabilities
from featx.stats.bootstrap import draw_units, interval
from featx.stats.calibration import fit_temperature
from featx.stats.comparison import corrected_paired_test
from featx.stats.intervals import describe_predictions
from featx.stats.losses import brier_scores, describe_calibration, log_losses
from featx.stats.metrics import (
    class_counts,
    class_metrics,
    confusion_matrix,
    count_metrics,
    fold_score,
)
from featx.stats.ranking import class_rankings, mean_defined, true_ranks

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=50)


@given(LABELS)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_count_metrics_are_scikit_learns(pairs):
    y, said = np.array(pairs).T
    ours = count_metrics(*class_counts(y, said, 4))
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(y, said))
    assert ours["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, said))
    for name in ("precision", "recall", "f1"):
        score = getattr(reference, f"{name}_score")
        for average in ("macro", "weighted"):
            assert ours[f"{name}_{average}"] == pytest.approx(
                score(y, said, average=average, zero_division=0)
            )
    if len(set(y) | set(said)) > 1:  # else undefined
        assert ours["matthews"] == pytest.approx(reference.matthews_corrcoef(y, said))
    np.testing.assert_array_equal(
        confusion_matrix(y, said, 4), reference.confusion_matrix(y, said, labels=range(4))
    )
    if len(set(y) | set(said)) > 1:
        assert ours["cohen_kappa"] == pytest.approx(reference.cohen_kappa_score(y, said))


def test_correlations_are_undefined_where_one_class_exists_and_was_predicted():
    y = np.zeros(4, int)
    ours = count_metrics(*class_counts(y, y, 2))
    assert np.isnan(ours["matthews"])
    assert np.isnan(ours["cohen_kappa"])
    assert count_metrics(*class_counts(y, np.array([0, 0, 1, 0]), 2))["matthews"] == 0


def test_a_perfect_classifier_of_few_images_has_no_interval_of_its_correlation():
    # Some resamples hold one class alone; their correlation is undefined, not 0.
    y = np.arange(4) % 2
    found = describe_predictions(y, np.eye(2)[y], ["a", "b"], np.arange(4), unit="image", seed=0)
    assert found["metrics"]["matthews"] == {"value": 1.0, "low": None, "high": None}


@given(LABELS)
def test_class_metrics_are_scikit_learns_and_undefined_is_nan(pairs):
    y, said = np.array(pairs).T
    ours = class_metrics(*class_counts(y, said, 4))
    theirs = reference.precision_recall_fscore_support(
        y, said, labels=range(4), zero_division=np.nan
    )
    for name, values in zip(("precision", "recall", "f1"), theirs, strict=False):
        np.testing.assert_allclose(ours[name], values)


def random_case(seed, n=23, n_classes=3):
    """Labels of every class and probabilities with many ties."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    scores = rng.integers(1, 4, (n, n_classes)).astype(float)
    return y, scores / scores.sum(axis=1, keepdims=True)


@given(st.integers(0, 10_000))
def test_rankings_are_scikit_learns_with_ties(seed):
    y, probabilities = random_case(seed)
    ours = class_rankings(y, probabilities)
    one_hot_y = np.eye(3)[y]
    for name, score in (
        ("roc_auc", reference.roc_auc_score),
        ("average_precision", reference.average_precision_score),
    ):
        np.testing.assert_allclose(
            ours[name][0], score(one_hot_y, probabilities, average=None), atol=1e-12
        )
        assert mean_defined(ours[name])[0] == pytest.approx(score(one_hot_y, probabilities))


def test_with_two_classes_the_roc_area_is_the_usual_one():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 60), rng.random(60)
    area = mean_defined(class_rankings(y, np.column_stack([1 - p, p]))["roc_auc"])[0]
    assert area == pytest.approx(reference.roc_auc_score(y, p))


@given(st.integers(0, 10_000))
def test_weighted_rankings_equal_repeated_images(seed):
    y, probabilities = random_case(seed, n=15)
    weights = np.random.default_rng(seed).integers(1, 4, (2, 15))
    ours = class_rankings(y, probabilities, weights.astype(float))
    for b in range(2):
        again = np.repeat(np.arange(15), weights[b])
        repeated = class_rankings(y[again], probabilities[again])
        for name, values in ours.items():
            np.testing.assert_allclose(values[b], repeated[name][0])


@given(st.integers(0, 10_000))
def test_losses_are_scikit_learns(seed):
    y, probabilities = random_case(seed)
    assert log_losses(y, probabilities).mean() == pytest.approx(
        reference.log_loss(y, probabilities, labels=range(3))
    )
    assert brier_scores(y, probabilities).mean() == pytest.approx(
        reference.brier_score_loss(y, probabilities, labels=range(3), scale_by_half=False)
    )


@given(st.integers(0, 10_000))
def test_top_k_is_scikit_learns_and_ties_are_as_in_the_prediction(seed):
    rng = np.random.default_rng(seed)
    y, probabilities = rng.integers(0, 6, 30), rng.dirichlet(np.ones(6), 30)
    ranks = true_ranks(y, probabilities)
    for k in (1, 2, 3, 5):
        assert (ranks < k).mean() == pytest.approx(
            reference.top_k_accuracy_score(y, probabilities, k=k, labels=range(6))
        )
    y, tied = random_case(seed)
    np.testing.assert_array_equal(true_ranks(y, tied) == 0, tied.argmax(axis=1) == y)


def test_calibration_error_by_hand():
    """Fifteen images, one a bin: 10 right at 0.9, 5 wrong at 0.6-0.64."""
    top = np.concatenate([0.9 + np.arange(10) / 1000, 0.6 + np.arange(5) / 100])
    y = np.repeat([0, 1], [10, 5])
    described = describe_calibration(y, np.column_stack([top, 1 - top]), seed=0)
    by_hand = (
        sum(1 - 0.9 - i / 1000 for i in range(10)) + sum(0.6 + i / 100 for i in range(5))
    ) / 15
    assert described["ece"] == pytest.approx(by_hand)


def test_equal_confidences_share_a_bin():
    """A hundred images at 0.8 of which 80 are right, in any order: no error at all."""
    y = np.random.default_rng(0).permutation(np.repeat([0, 1], [80, 20]))
    probabilities = np.tile([0.8, 0.2], (100, 1))
    assert describe_calibration(y, probabilities, seed=0)["ece"] == pytest.approx(0, abs=1e-12)


def test_calibration_says_what_right_probabilities_would_give():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, 400)
    probabilities = np.column_stack([p, 1 - p])
    right = describe_calibration((rng.random(400) > p).astype(int), probabilities, seed=0)
    assert right["if_right_mean"] / 2 < right["ece"] < right["if_right_high"]
    wrong = describe_calibration((rng.random(400) > 0.5).astype(int), probabilities, seed=0)
    assert wrong["ece"] > 2 * wrong["if_right_high"]


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
    assert described["interval"] == (
        "95 % expanded percentile bootstrap over 200 images, 2000 resamples"
    )


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


def test_with_few_units_the_interval_is_students():
    """Eight group means: the normal bootstrap would be 30 % too narrow."""
    from scipy.stats import t as student

    rng = np.random.default_rng(3)
    means = rng.normal(size=8)
    draws = np.concatenate(list(draw_units(8, 0)))
    given = interval(means.mean(), draws @ means / 8, 8, limits=(-math.inf, math.inf))
    half = student.ppf(0.975, 7) * means.std(ddof=1) / np.sqrt(8)
    assert (given["high"] - given["low"]) / 2 == pytest.approx(half, rel=0.1)


def test_cross_validated_numbers_have_wider_intervals_within_their_limits():
    """Five folds: variance 1 + 2 / 4 times as large."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80)
    said = np.where(rng.random(80) < 0.93, y, 1 - y)
    once, folds = (
        describe_predictions(
            y, one_hot(said), ["a", "b"], np.arange(80), unit="images", seed=0, n_folds=k
        )
        for k in (None, 5)
    )
    assert folds["interval"].endswith(", 1.22 times as wide for 5 training sets")
    a, b = (d["metrics"]["log_loss"] for d in (once, folds))
    for end in ("low", "high"):
        assert b[end] - b["value"] == pytest.approx(math.sqrt(1.5) * (a[end] - a["value"]))
    assert folds["metrics"]["accuracy"]["high"] <= 1
    assert folds["metrics"]["accuracy"]["low"] < once["metrics"]["accuracy"]["low"]


@pytest.mark.parametrize("value", [0, 1])
def test_all_right_or_all_wrong_is_not_certainty(value):
    """None of 30 wrong: up to 11.6 % may be (Clopper and Pearson's table)."""
    y = np.ones(30, int) * value
    described = describe_predictions(
        y, one_hot(np.ones(30, int)), ["a", "b"], np.arange(30), unit="images", seed=0
    )
    accuracy = described["metrics"]["accuracy"]
    assert accuracy["value"] == value
    width = accuracy["high"] - accuracy["low"]
    assert width == pytest.approx(0.116, abs=5e-4)
    # No such bound is known for means over classes: none is printed, rather than no width.
    assert described["metrics"]["balanced_accuracy"]["low"] is None


def test_one_group_has_no_interval_and_two_images_have_a_wide_one():
    y, said = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])
    one = describe_predictions(
        y, one_hot(said), ["a", "b"], np.zeros(4, int), unit="groups", seed=0
    )
    assert one["metrics"]["accuracy"] == {"value": 0.75, "low": None, "high": None}
    two = describe_predictions(
        np.array([0, 1]), one_hot(np.array([0, 0])), ["a", "b"], np.arange(2), unit="x", seed=0
    )
    assert two["metrics"]["accuracy"] == {"value": 0.5, "low": 0.0, "high": 1.0}


def test_repeated_predictions_of_an_image_are_drawn_together():
    rng = np.random.default_rng(0)
    y, said = rng.integers(0, 2, 60), rng.integers(0, 2, 60)
    once = describe_predictions(y, one_hot(said), ["a", "b"], np.arange(60), unit="x", seed=0)
    thrice = describe_predictions(
        np.tile(y, 3),
        one_hot(np.tile(said, 3)),
        ["a", "b"],
        np.tile(np.arange(60), 3),
        unit="x",
        seed=0,
        repeats=3,
    )
    for name, values in once["metrics"].items():
        assert thrice["metrics"][name] == pytest.approx(values), name
    assert thrice["n_images"] == 60
    assert thrice["per_class"]["a"]["support"] == once["per_class"]["a"]["support"]


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
