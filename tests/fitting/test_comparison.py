"""The chosen candidate beside the others: differences, multiplicity, one standard error."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from fit_lab import make_data
from hypothesis import given
from hypothesis import strategies as st

from featx.config import FitConfig
from featx.fitting import FitData, fit_heads
from featx.fitting.candidates import Setup, Trial
from featx.fitting.selection import choose
from featx.stats.bootstrap import draw_units
from featx.stats.comparison import corrected_paired_test, holm, paired_bootstrap

GRIDS = {"ridge": {"alpha": [100.0, 1.0]}, "knn": {"n_neighbors": [15, 3]}}


def test_holm_by_hand():
    """Sorted 0.01 x 4, 0.02 x 3, 0.03 x 2, and never below the one before."""
    np.testing.assert_allclose(holm([0.03, 0.01, 0.2, 0.02]), [0.06, 0.04, 0.2, 0.06])
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_only_raises_keeps_the_order_and_is_milder_than_bonferroni(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-15).all()
    assert (adjusted <= np.minimum(np.array(p) * len(p), 1) + 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= -1e-12).all()


def test_paired_bootstrap_agrees_with_mcnemar():
    """Of 200 images 30 are right by one only and 12 by the other only."""
    from scipy.stats import norm

    difference = np.repeat([1, -1, 0], [30, 12, 158])
    draws = np.concatenate(list(draw_units(200, 0)))
    test = paired_bootstrap(difference.mean(), draws @ difference / 200, 200)
    mcnemar = 2 * norm.sf((30 - 12) / np.sqrt(30 + 12))
    assert test.p == pytest.approx(mcnemar, rel=0.4)
    assert test.mean == pytest.approx(0.09)
    assert test.low > 0


@pytest.mark.parametrize("n_units", [4, 12, 200])
def test_paired_bootstrap_is_significant_where_the_interval_leaves_out_zero(n_units):
    rng = np.random.default_rng(0)
    draws = np.concatenate(list(draw_units(n_units, 0)))
    seen = set()
    for _ in range(60):
        values = rng.normal(2.0 / np.sqrt(n_units), 1, n_units)
        test = paired_bootstrap(values.mean(), draws @ values / n_units, n_units)
        if not 0.03 < test.p < 0.07:  # at the border, 2,000 resamples are coarse
            assert (test.p < 0.05) == (not test.low <= 0 <= test.high)
            seen.add(test.p < 0.05)
    assert seen == {True, False} or n_units == 4


def test_equal_predictions_are_no_difference():
    assert paired_bootstrap(0.0, np.zeros(2000), 50).p == 1


def fake_scores(table):
    trials = [
        Trial(Setup(("net",), head, sampler, weight), (("C", C),))
        for head, sampler, weight, C in table
    ]
    scores = dict(zip(trials, map(np.array, table.values()), strict=True))
    return trials, scores.__getitem__


def test_one_standard_error_takes_the_simplest_that_is_about_as_good():
    """Best mean 0.80 with standard error 0.02: what reaches 0.78 is eligible."""
    trials, scores = fake_scores(
        {
            ("ridge", "none", "none", 0.1): [0.75, 0.76, 0.77, 0.76],
            ("ridge", "none", "none", 1.0): [0.79, 0.77, 0.79, 0.79],
            ("ridge", "smote", "none", 0.1): [0.795, 0.795, 0.795, 0.795],
            ("svm", "none", "balanced", 1.0): [0.76, 0.84, 0.84, 0.76],
            ("svm", "none", "none", 1.0): [0.79, 0.79, 0.79, 0.79],
        }
    )
    error = np.std([0.76, 0.84, 0.84, 0.76], ddof=1) / 2
    assert 0.02 < error < 0.025
    assert choose(trials, scores, "best").setup.class_weight == "balanced"
    chosen = choose(trials, scores, "1se")
    assert chosen.setup == Setup(("net",), "ridge", "none", "none")
    assert chosen.params == (("C", 1.0),)


def test_select_reaches_the_fit_the_nested_folds_and_the_notes():
    data = make_data([40, 40], distance=1.2)
    grid = {"knn": {"n_neighbors": [35, 25, 15, 9, 5, 1]}}
    config = FitConfig(head=["knn"], param_grid=grid)
    best, simple = (
        fit_heads(data, config),
        fit_heads(data, config.model_copy(update={"select": "1se"})),
    )
    assert simple.settings["select"] == "1se"
    assert simple.chosen.params["n_neighbors"] > best.chosen.params["n_neighbors"]
    assert simple.chosen.cv_mean <= best.chosen.cv_mean
    assert any("simplest candidate within one standard error" in n for n in simple.notes)
    assert list(simple.predictions.rows()) != list(best.predictions.rows())


def test_every_candidate_stands_against_the_chosen_one():
    data = make_data([60, 40, 20], distance=2)
    config = FitConfig(head=["ridge", "knn", "dummy"], param_grid=GRIDS, estimate="cv")
    result = fit_heads(data, config)
    others = [c for c in result.candidates if c is not result.chosen]
    assert result.chosen.against_chosen is None
    assert result.comparison["folds"]["n_comparisons"] == 3  # every pair of three
    for c in others:
        differences = np.subtract(c.fold_scores, result.chosen.fold_scores)
        test = corrected_paired_test(differences, test_ratio=1 / 4)
        assert c.against_chosen["mean"] == pytest.approx(test.mean)
        assert c.against_chosen["low"] == pytest.approx(test.low)
        assert c.against_chosen["p"] == pytest.approx(test.p)
        assert c.against_chosen["p_adjusted"] >= c.against_chosen["p"]
    dummy = next(c for c in others if c.head == "dummy")
    assert dummy.against_chosen["p_adjusted"] < 0.01
    note = next(n for n in result.notes if "clearly worse than the chosen" in n)
    assert note.startswith("1 of 2 other candidates is clearly worse than the chosen one in ")
    assert "3 comparisons, Holm" in note
    assert result.comparison["tested"] is None
    json.dumps(result.document(), allow_nan=False)


@pytest.mark.parametrize("scoring", ["balanced_accuracy", "roc_auc_ovr", "neg_log_loss"])
def test_on_a_test_split_candidates_are_compared_by_paired_bootstrap(scoring):
    data = make_data([75, 75], distance=1.5, splits=(["train"] * 3 + ["test"] * 2) * 30)
    config = FitConfig(head=["ridge", "dummy"], param_grid=GRIDS | {}, scoring=scoring, cv=3)
    config = config.model_copy(update={"param_grid": {"ridge": GRIDS["ridge"]}})
    result = fit_heads(data, config)
    assert result.comparison["tested"]["method"] == "paired bootstrap over 60 images"
    dummy = next(c for c in result.candidates if c.head == "dummy")
    against = dummy.against_chosen_tested
    assert against["low"] < against["mean"] < against["high"] < 0
    assert against["p_adjusted"] < 0.05
    if scoring != "neg_log_loss":
        value = result.estimate["metrics"][scoring]["value"]
        assert against["mean"] == pytest.approx(0.5 - value)


def test_groups_are_drawn_together_in_the_comparison_on_a_test_split():
    splits = (["train"] * 3 + ["test"] * 2) * 30
    data = make_data([75, 75], distance=1, splits=splits, groups=np.arange(150) // 10)
    config = FitConfig(head=["ridge", "dummy"], param_grid={"ridge": GRIDS["ridge"]}, cv=3)
    result = fit_heads(data, config)
    assert result.comparison["tested"]["method"] == "paired bootstrap over 15 groups"


def test_class_weights_always_stand_beside_a_sampler():
    data = make_data([60, 20], distance=1.5)
    config = FitConfig(
        head=["ridge"], sampler=["smote"], param_grid={"ridge": GRIDS["ridge"]}, cv=3
    )
    result = fit_heads(data, config)
    rows = [(c.sampler, c.class_weight) for c in result.candidates]
    assert rows == [("none", "none"), ("smote", "none"), ("none", "balanced")]
    plain, smote, weighted = result.candidates
    difference = np.subtract(smote.fold_scores, weighted.fold_scores).mean()
    assert smote.against_class_weight["mean"] == pytest.approx(difference)
    assert smote.against_none["mean"] == pytest.approx(
        np.subtract(smote.fold_scores, plain.fold_scores).mean()
    )
    assert weighted.against_none is weighted.against_class_weight is None
    assert any(
        n.startswith("smote ") and "against none (95 % interval" in n and "class weights" in n
        for n in result.notes
    )
    without = fit_heads(data, config.model_copy(update={"class_weight": "none"}))
    assert [c.sampler for c in without.candidates] == ["none", "smote"]


def test_equal_candidates_are_seldom_told_apart():
    """Two backbones that differ by noise only: a verdict at 5 % would be false."""
    verdicts = []
    for seed in range(40):
        data = make_data([30, 30], distance=1.5, seed=seed)
        rng = np.random.default_rng(seed)
        X = data.X["net"]
        noisy = {n: X + rng.normal(0, 0.5, X.shape).astype(np.float32) for n in ("a", "b")}
        data = FitData(noisy, data.y, data.ids, data.hashes)
        grid = {"ridge": {"alpha": [10.0]}}
        config = FitConfig(head=["ridge"], param_grid=grid, estimate="cv", seed=seed)
        result = fit_heads(replace(data), config)
        verdicts += [c.against_chosen["p"] for c in result.candidates if c.against_chosen]
    assert len(verdicts) == 40
    assert np.mean(np.array(verdicts) < 0.05) <= 0.1
