"""Calibration, prediction sets and the out-of-distribution score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fit_lab import make_data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, spearmanr

from featx.artifact.calibration import Temperature
from featx.artifact.decision import Costs, Cutoff
from featx.artifact.novelty import Novelty
from featx.artifact.trust import PredictionSets
from featx.config import FitConfig
from featx.errors import FeatxError
from featx.fitting import fit_heads
from featx.fitting.calibrate import fit_calibration
from featx.fitting.search import Outputs
from featx.margins import log_odds
from featx.stats.calibration import fit_isotonic, fit_sigmoids
from featx.stats.conformal import fewest_images, set_thresholds
from featx.stats.losses import log_losses
from featx.stats.novelty import alarm_limit, fit_spread
from featx.stats.shares import shares
from featx.stats.thresholds import Levels


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def draw(n: int, seed: int, *, sharpness: float = 1.0, n_classes: int = 3):
    """Labels drawn from softmax(z), and the probabilities softmax(sharpness z) that are claimed."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (n, n_classes))
    y = np.array([rng.choice(n_classes, p=p) for p in softmax(z)])
    return y, softmax(sharpness * z)


def folds_of(n: int, seed: int, n_folds: int = 4, **options):
    each = [draw(n, seed * 100 + i, **options) for i in range(n_folds)]
    return [Outputs(p, margins=False) for _, p in each], [y for y, _ in each]


# calibration


@pytest.mark.parametrize("method", ["temperature", "sigmoid", "isotonic", "auto"])
def test_calibration_mends_probabilities_that_are_too_sure(method: str) -> None:
    calibration = fit_calibration(method, *folds_of(300, 1, sharpness=3.0))
    assert calibration is not None
    y, claimed = draw(2000, 7, sharpness=3.0)
    mended = calibration.apply(claimed, margins=False)
    _, right = draw(2000, 7)
    best, before = log_losses(y, right).mean(), log_losses(y, claimed).mean()
    assert np.allclose(mended.sum(axis=1), 1)
    assert log_losses(y, mended).mean() < best + 0.15 * (before - best)
    assert before > best + 0.3


def test_the_temperature_is_the_sharpness() -> None:
    calibration = fit_calibration("temperature", *folds_of(2000, 2, sharpness=3.0))
    assert isinstance(calibration, Temperature)
    assert calibration.temperature == pytest.approx(3.0, rel=0.08)


def test_auto_leaves_right_probabilities_or_takes_what_changes_them_little() -> None:
    outputs, y = folds_of(1000, 3)
    calibration = fit_calibration("auto", outputs, y)
    y, right = draw(3000, 8)
    after = right if calibration is None else calibration.apply(right, margins=False)
    assert log_losses(y, after).mean() < log_losses(y, right).mean() + 0.01


def test_none_leaves_probabilities_and_gives_margins_a_temperature() -> None:
    outputs, y = folds_of(100, 4)
    assert fit_calibration("none", outputs, y) is None
    margins = [Outputs(np.log(o.scores) * 5, margins=True) for o in outputs]
    calibration = fit_calibration("none", margins, y)
    assert isinstance(calibration, Temperature)
    assert calibration.temperature == pytest.approx(5, rel=0.4)


def test_sigmoids_are_logistic_regressions_on_platts_targets() -> None:
    from sklearn.calibration import _SigmoidCalibration

    y, p = draw(500, 5)
    odds = log_odds(p, margins=False)
    slopes, offsets = fit_sigmoids(odds, y)
    for c in range(3):
        reference = _SigmoidCalibration().fit(odds[:, c], (y == c).astype(float))
        ours = 1 / (1 + np.exp(-(slopes[c] * odds[:, c] + offsets[c])))
        assert np.allclose(ours, reference.predict(odds[:, c]), atol=1e-3)


def test_isotonic_keeps_the_order_and_never_says_impossible() -> None:
    y, p = draw(200, 6)
    for c, (x, f) in enumerate(fit_isotonic(log_odds(p, margins=False), y)):
        assert (np.diff(x) > 0).all()
        assert (np.diff(f) >= 0).all()
        assert f.min() >= 1 / 202
        assert f.max() <= 201 / 202
        assert spearmanr(p[:, c], np.interp(log_odds(p, margins=False)[:, c], x, f)).statistic > 0.9


def test_a_class_that_a_fold_does_not_know_stays_impossible() -> None:
    outputs, y = folds_of(100, 9)
    margins = [Outputs(np.log(o.scores), margins=True) for o in outputs]
    margins[0].scores[:, 2] = -np.inf
    for method in ("temperature", "sigmoid", "isotonic"):
        calibration = fit_calibration(method, margins, y)
        assert calibration is not None
        after = calibration.apply(margins[0].scores, margins=True)
        assert (after[:, 2] == 0).all()
        assert np.allclose(after.sum(axis=1), 1)


# prediction sets


def test_the_threshold_is_an_order_statistic() -> None:
    own = np.arange(1, 20) / 20  # 19 images: floor(20 x 0.1) = 2, the second smallest
    p = np.column_stack([own, 1 - own])
    y = np.zeros(19, np.int64)
    assert set_thresholds(y, p, coverage=0.9).tolist() == [0.1, 0.1]
    assert set_thresholds(y[:8], p[:8], coverage=0.9).tolist() == [0, 0]  # 8 cannot promise it
    assert fewest_images(0.9) == 9
    assert fewest_images(0.5) == 1


def test_classes_with_few_images_keep_the_common_threshold() -> None:
    y, p = draw(300, 11)
    y[y == 2] = 0
    y[:5] = 2
    common = set_thresholds(y, p, coverage=0.9)
    own = set_thresholds(y, p, coverage=0.9, over="classes")
    assert own[2] == common[2]
    assert own[1] != common[1]


@given(st.sampled_from([0.5, 0.8, 0.9, 0.95]), st.integers(20, 200), st.booleans())
@settings(max_examples=20)
def test_sets_cover_as_often_as_stated(coverage: float, n: int, by_class: bool) -> None:
    """The coverage over calibration and test draws is at least the stated one, whatever n is."""
    n_tests, n_draws, covered, of = 50, 60, 0, 0
    for seed in range(n_draws):
        y, p = draw(n + n_tests, seed + 1000 * n, sharpness=2.0)
        over = "classes" if by_class else "images"
        limits = set_thresholds(y[:n], p[:n], coverage=coverage, over=over)
        sets = PredictionSets(coverage=coverage, over=over, thresholds=limits.tolist())
        inside = sets.sets(p[n:], p[n:].argmax(axis=1))
        covered += int(inside[np.arange(n_tests), y[n:]].sum())
        of += n_tests
    # images of one draw share their thresholds: as if each draw were 10 independent images
    low = binom.ppf(1e-4, n_draws * 10, coverage) / (n_draws * 10)
    assert covered / of >= low


def test_sets_are_never_empty() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]])
    sets = PredictionSets(coverage=0.9, over="images", thresholds=[0.8] * 3)
    inside = sets.sets(p, np.array([1, 0]))
    assert inside.tolist() == [[False, True, False], [True, False, False]]


def test_where_no_class_is_likely_enough_the_classifier_abstains() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0], [0.8, 0.8, 0.0], [0.2, 0.8, 0.0]])
    sets = PredictionSets(coverage=0.9, over="images", thresholds=[0.8] * 3)
    predicted = np.array([0, 0, 0, 0])  # the last by a decision for another class
    assert sets.abstains(p, predicted).tolist() == [True, False, True, True]
    assert sets.sets(p, predicted).sum(axis=1).tolist() == [1, 1, 2, 2]
    assert sets.abstains(p[:0], predicted[:0]).shape == (0,)


@given(st.integers(0, 10**6), st.floats(0, 1), st.booleans())
@settings(max_examples=40)
def test_who_does_not_abstain_has_its_predicted_class_alone(
    seed: int, threshold: float, likeliest: bool
) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), 30)
    predicted = p.argmax(axis=1) if likeliest else rng.integers(0, 3, 30)
    sets = PredictionSets(coverage=0.9, over="images", thresholds=[threshold] * 3)
    sure = ~sets.abstains(p, predicted)
    inside = sets.sets(p, predicted)
    assert (inside[sure].sum(axis=1) == 1).all()
    assert (p[sure, predicted[sure]] >= threshold).all()
    assert (~sure)[inside.sum(axis=1) > 1].all()


def test_shares_have_values_and_intervals() -> None:
    hit = np.arange(100) < 30
    everyone = np.ones(100, bool)
    part, none, nobody = shares(
        [(hit, everyone), (~everyone, everyone), (hit, ~everyone)], np.arange(100), seed=0
    )
    assert part["value"] == 0.3
    assert 0.19 < part["low"] < 0.24
    assert 0.36 < part["high"] < 0.41
    assert none == {"value": 0.0, "low": 0.0, "high": pytest.approx(1 - 0.025**0.01)}
    assert nobody == {"value": None, "low": None, "high": None}
    [wide] = shares([(hit, everyone)], np.arange(100), seed=0, n_folds=3)
    assert wide["high"] - wide["low"] > 1.3 * (part["high"] - part["low"])
    [cost] = shares([(hit * 20.0, everyone)], np.arange(100), seed=0, proportion=False)
    assert (cost["value"], 3 < cost["low"] < 5, 7 < cost["high"] < 9) == (6.0, True, True)


# out of distribution


def test_the_score_is_the_mahalanobis_distance_to_the_nearest_mean() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    X = (rng.normal(size=(400, 4)) * [3, 1, 1, 1] + 5 * y[:, None]).astype(np.float32)
    spread = fit_spread(X, y, seed=0)
    novelty = Novelty(*spread)
    covariance = (spread.components.T * (spread.variances - spread.rest)) @ spread.components
    precision = np.linalg.inv(covariance + spread.rest * np.eye(4))
    off = X[:, None, :] - spread.means[None]
    expected = np.sqrt(np.einsum("nci,ij,ncj->nc", off, precision, off).min(axis=1) / 4)
    assert np.allclose(novelty.scores(X), expected, rtol=1e-4)
    assert np.median(expected) == pytest.approx(0.9, abs=0.15)


def test_noise_is_flagged_and_images_like_the_training_images_are_not() -> None:
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(6, 40))
    centres = rng.normal(size=(3, 40)) * 3

    def like(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(0, 3, n)
        X = centres[y] + rng.normal(size=(n, 6)) @ basis + 0.1 * rng.normal(size=(n, 40))
        return X.astype(np.float32), y

    X, y = like(400)
    held, _ = like(400)
    novelty = Novelty(*fit_spread(X, y, seed=0))
    limit = alarm_limit(novelty.scores(held), 0.02)
    new, _ = like(2000)
    alarms = (novelty.scores(new) > limit).mean()
    assert alarms <= 0.05
    noise = X[rng.permutation(400)[:100]][:, rng.permutation(40)]
    assert (novelty.scores(noise) > limit).mean() > 0.95


def test_the_limit_keeps_the_rate() -> None:
    assert alarm_limit(np.arange(99.0), 0.1) == 89  # 9 above it; (99 + 1) x 0.9 = 90th
    assert alarm_limit(np.arange(5.0), 0.01) == 4  # too few to promise it: the largest
    rates = []
    for seed in range(300):
        scores = np.random.default_rng(seed).normal(size=149)
        rates.append((scores[-50:] > alarm_limit(scores[:99], 0.1)).mean())
    assert np.mean(rates) == pytest.approx(0.1, abs=0.02)


# all of it in a fit


@pytest.mark.parametrize("method", ["none", "sigmoid", "auto"])
@pytest.mark.parametrize("head", ["logreg", "ridge"])
def test_what_a_fit_promises_holds_on_new_images(head: str, method: str) -> None:
    data = make_data([90, 90, 90], distance=1.5, splits=(["train"] * 40 + ["test"] * 50) * 3)
    config = FitConfig(head=[head], cv=4, calibrate=method, coverage=0.8, ood_rate=0.05)
    result = fit_heads(data, config)
    document = result.document()["trust"]
    sets = document["prediction_sets"]
    assert sets["covered"]["high"] > 0.8
    assert sets["covered"]["value"] > 0.7
    assert 1 <= sets["mean_size"] <= 3
    assert sets["accuracy_of_the_others"]["value"] > result.estimate["metrics"]["accuracy"]["value"]
    assert document["novelty"]["false_alarms"]["low"] < 0.05
    assert document["novelty"]["false_alarms"]["value"] < 0.12
    assert document["calibration"]["asked"] == method
    assert (result.temperature is None) == (head == "logreg" or method == "sigmoid" or (
        document["calibration"]["method"] != "temperature"))  # fmt: skip


def test_a_fit_counts_images_without_any_likely_class_as_abstained() -> None:
    """Nearly all are right, and a coverage of a half is asked for: the less sure half abstains."""
    data = make_data([60, 60], distance=4.0)
    config = FitConfig(cv=4, estimate="cv", coverage=0.5, param_grid={"logreg": {"C": [0.01]}})
    sets = fit_heads(data, config).trust.document["prediction_sets"]
    assert sets["mean_size"] == 1
    assert sets["covered"]["value"] > 0.9
    assert 0.4 < sets["abstained"]["value"] < 0.6
    assert sets["accuracy_of_the_others"]["value"] >= sets["covered"]["value"]


def test_sets_in_cross_validation_have_their_thresholds_from_the_other_folds() -> None:
    data = make_data([40, 40], distance=1.0)
    config = FitConfig(cv=4, estimate="cv", coverage=0.8, param_grid={"logreg": {"C": [0.01]}})
    result = fit_heads(data, config)
    oof = result.held[0]
    covered = []
    for fold in range(4):
        rows = oof.fold == fold
        y, p = oof.part.y, oof.proba
        limit = set_thresholds(y[~rows], p[~rows], coverage=0.8)
        inside = p[rows] >= limit
        inside |= np.eye(2, dtype=bool)[p[rows].argmax(axis=1)]
        covered += inside[np.arange(rows.sum()), y[rows]].tolist()
    assert result.trust.document["prediction_sets"]["covered"]["value"] == np.mean(covered)
    assert result.trust.trust.sets.thresholds[0] == set_thresholds(
        oof.part.y, oof.proba, coverage=0.8
    )[0]  # fmt: skip


# decisions


def test_cutoffs_are_the_tightest_that_reach_the_target() -> None:
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    own = np.array([1, 1, 0, 1, 0, 1], bool)
    assert Levels.of(own, p).choose("recall", 0.75) == 0.6
    assert Levels.of(own, p).choose("recall", 0.76) == 0.4
    assert Levels.of(own, p).choose("precision", 0.75) == 0.6
    assert Levels.of(own, p).choose("precision", 0.9) == 0.8
    assert Levels.of(~own, p).choose("precision", 0.9) == 0.5  # nowhere: the highest, 2 of 5
    assert Levels.of(own & False, p).choose("recall", 0.9) == 0.5
    assert Levels.of(own, p).choose("false-alarms", 1 / 6) == 0.6
    assert Levels.of(own, p).choose("false-alarms", 0) == 0.8
    assert Levels.of(~own, p).choose("false-alarms", 0.1) == 0.7  # nowhere: the fewest, 2 of 6
    assert Levels.of(own, p).choose("cutoff", 0.123) == 0.123
    assert Levels.of(own, p).choose("precision", 0.8, 0.9) == 0.4  # 9 in 10 are of the class


@given(st.integers(0, 10_000), st.floats(0.05, 1))
@settings(max_examples=30)
def test_a_tuned_recall_is_reached_and_the_next_cutoff_misses_it(seed: int, target: float) -> None:
    rng = np.random.default_rng(seed)
    own, p = rng.random(40) < 0.4, rng.integers(0, 15, 40) / 15
    own[0] = True
    cutoff = Levels.of(own, p).choose("recall", target)
    assert (p[own] >= cutoff).mean() >= target - 1e-9
    assert (p[own] > cutoff).mean() < target


def test_decisions_by_cutoff_and_by_cost() -> None:
    p = np.array([[0.2, 0.5, 0.3], [0.1, 0.3, 0.6], [0.05, 0.6, 0.35]])
    assert Cutoff(column=0, cutoff=0.1).decide(p).tolist() == [0, 0, 1]
    assert Cutoff(column=2, cutoff=0.99).decide(p).tolist() == [1, 1, 1]
    assert Costs(costs=(1 - np.eye(3)).tolist()).decide(p).tolist() == p.argmax(axis=1).tolist()
    missed = [[0.0, 10.0, 10.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]  # class 0 must not be missed
    assert Costs(costs=missed).decide(p).tolist() == [0, 0, 1]


@pytest.mark.parametrize("estimate", ["nested", "auto"])
def test_a_recall_asked_for_is_what_the_estimate_says(estimate: str) -> None:
    splits = None if estimate == "nested" else (["train"] * 60 + ["test"] * 60) * 2
    data = make_data([120, 120], distance=1.2, **({"splits": splits} if splits else {}))
    plain = fit_heads(data, FitConfig(cv=3, estimate=estimate))
    tuned = fit_heads(data, FitConfig(cv=3, estimate=estimate, threshold="c1:recall=0.95"))
    decision = tuned.document()["trust"]["decision"]
    assert decision["asked"] == "c1:recall=0.95"
    assert decision["recall"]["value"] > 0.87
    assert tuned.estimate["per_class"]["c1"]["recall"]["value"] == decision["recall"]["value"]
    assert plain.estimate["per_class"]["c1"]["recall"]["value"] < decision["recall"]["value"]
    assert plain.estimate["metrics"]["log_loss"] == tuned.estimate["metrics"]["log_loss"]
    matrix = np.array(tuned.estimate["confusion_matrix"])
    assert matrix[1, 1] / matrix[1].sum() == pytest.approx(decision["recall"]["value"])
    assert plain.document()["trust"]["decision"] is None


def test_costs_are_read_and_lower_what_mistakes_cost(tmp_path: Path) -> None:
    data = make_data([80, 80], distance=1.2)
    path = tmp_path / "costs.csv"
    path.write_text("true,c1,c0\nc1,0,20\nc0,1,0\n", "utf-8")
    result = fit_heads(data, FitConfig(cv=3, estimate="cv", costs=str(path)))
    decision = result.document()["trust"]["decision"]
    assert decision["mean_cost"]["value"] < decision["mean_cost_of_the_likeliest"]["value"]
    assert decision["mean_cost"]["low"] < decision["mean_cost"]["value"]
    assert result.trust.trust.decision == Costs(costs=[[0.0, 1.0], [20.0, 0.0]])
    held = result.held[0]
    cost = np.array([[0, 1], [20, 0]])[held.part.y, held.y_pred].mean()
    assert decision["mean_cost"]["value"] == pytest.approx(cost)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": "c1"}, "is not of the form CLASS:recall=0.95"),
        ({"threshold": "c1:f1=0.9"}, "is not of the form"),
        ({"threshold": "c1:recall=1.5"}, "is not of the form"),
        ({"threshold": "d1:recall=0.9"}, "Unknown class 'd1'. Choose from: c0, c1."),
        ({"threshold": "c1:recall=0.9", "costs": "x.csv"}, "both set"),
        ({"costs": "nowhere.csv"}, "Cannot read the costs 'nowhere.csv'"),
    ],
)
def test_rules_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(FeatxError, match=message):
        fit_heads(make_data([20, 20]), FitConfig(cv=2, **options))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("true,c0\nc0,0\n", "must name each class once"),
        ("true,c0,c1\nc0,0,1\nc1,x,0\n", "must be numbers"),
        ("true,c0,c1\nc0,0,1\nc1,nan,0\n", "finite number in every cell"),
        ("true,c0,c1\nc0,0\nc1,1,0\n", "must be numbers|finite number in every cell"),
    ],
)
def test_costs_that_make_no_sense_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.csv").write_text(text, "utf-8")
    with pytest.raises(FeatxError, match=message):
        fit_heads(make_data([20, 20]), FitConfig(cv=2, costs=str(tmp_path / "c.csv")))
