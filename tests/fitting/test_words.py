"""Sentences made of figures say what the figures say."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fit_lab import make_data
from hypothesis import given, settings
from hypothesis import strategies as st

from featx import console
from featx.config import FitConfig
from featx.finetuning.guard import PairedChange, no_better_epoch
from featx.fitting import fit_heads
from featx.reporting.contents import standardised
from featx.reporting.sentences import calibrated
from featx.reporting.summaries.trust import trust_sentences
from featx.stats.comparison import paired_bootstrap
from featx.stats.losses import describe_calibration
from featx.stats.metrics import metric_name

SHARES = st.floats(0, 1)
LOSSES = st.floats(0, 5)


def row(value: float | None) -> dict[str, float | None]:
    return {"value": value, "low": None, "high": None}


def trust(**changes: object) -> dict[str, object]:
    sets = {
        "coverage": 0.9,
        "over": "images",
        "covered": row(0.9),
        "abstained": row(0.2),
        "accuracy_of_the_others": row(0.8),
    }
    given_ = {
        "calibration": {"asked": "none", "method": "none"},
        "decision": None,
        "prediction_sets": sets,
        "novelty": {"rate": 0.01, "false_alarms": row(0.01)},
    }
    return {**given_, **changes}


@given(st.integers(0, 10**6), st.sampled_from(["image", "class", "copy", "day", "batch"]))
def test_counts_agree_with_nouns_and_verbs(n: int, noun: str) -> None:
    said = console.counted(n, noun, "is/are")
    many = {"class": "classes", "copy": "copies", "batch": "batches"}.get(noun, f"{noun}s")
    assert said == (f"1 {noun} is" if n == 1 else f"{n:,} {many} are")
    assert console.counted(n, noun) == said.rsplit(" ", 1)[0]


@given(st.none() | SHARES, SHARES)
def test_a_threshold_is_missed_or_reached_as_its_figures_say(value, target) -> None:
    decision = {
        "asked": f"a:b:recall={target:g}",
        "recall": row(value),
        "precision": row(None),
    }
    said = next(iter(trust_sentences(trust(decision=decision))))
    assert "precision undefined (this class is never predicted)" in said
    asked = float(f"{target:g}")
    if value is None:
        assert "recall undefined (no image is of this class)" in said
        assert "asked for" not in said
        return
    assert ("is below the" in said) == (round(value, 3) < round(asked, 3))


@given(SHARES, st.none() | SHARES)
def test_nobody_abstained_from_and_nobody_else(abstained, right) -> None:
    abstained = 1.0 if right is None else abstained
    sets = {**trust()["prediction_sets"], "abstained": row(abstained)}  # type: ignore[dict-item]
    sets["accuracy_of_the_others"] = row(right)
    _, said = [*trust_sentences(trust(prediction_sets=sets))][-2:][::-1]
    assert "–" not in said
    assert ("abstains on all" in said) == (right is None)
    assert ("abstains on none" in said) == (right is not None and abstained == 0)
    assert ("of the rest" in said) == (right is not None and abstained > 0)


@settings(max_examples=60)
@given(st.integers(2, 60), st.integers(0, 10**6), st.floats(0.2, 5))
def test_probabilities_are_called_high_or_low_as_they_are(n, seed, power) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([0.4, 0.4, 0.4], n) ** power
    p /= p.sum(axis=1, keepdims=True)
    y = np.array([rng.choice(3, p=row_) for row_ in rng.dirichlet([1, 1, 1], n)])
    found = describe_calibration(y, p, seed=0)
    mean, accuracy = p.max(axis=1).mean(), (p.argmax(axis=1) == y).mean()
    said = calibrated(found, float(mean), float(accuracy))
    assert ("as they are" in said) == (found["ece"] <= found["if_right_high"])
    if "too high on the whole" in said:
        assert mean > accuracy
    if "too low on the whole" in said:
        assert mean < accuracy
    if "for some" in said:
        assert abs(mean - accuracy) < found["ece"] / 2
    n_bins = int(found["bins"].split()[0])
    assert 1 <= n_bins <= min(15, n)
    assert found["bins"].endswith("bin" if n_bins == 1 else "bins")


HISTORIES = st.lists(st.tuples(LOSSES, st.none() | SHARES), min_size=2, max_size=6)


@given(HISTORIES, st.sampled_from(["loss", "score"]))
def test_why_no_epoch_was_better(rows, monitor) -> None:
    history = [{"validation_loss": a, "validation_score": b} for a, b in rows]
    said = no_better_epoch(history, monitor, "accuracy")
    losses, scores = zip(*rows, strict=True)
    plain = said.replace(", which was watched,", "")
    assert ("loss falls" in plain) == (min(losses[1:]) < losses[0])
    if None not in scores:
        assert ("accuracy rises" in plain) == (max(scores[1:]) > scores[0])
    watched = "loss" if monitor == "loss" else "accuracy"
    assert said.startswith(f"the validation {watched}, which was watched, ")
    assert said.count("which was watched") == 1
    for a, b in re.findall(r"from (\S+) to (\S+)", said):
        assert a != b


def test_the_case_that_was_reported() -> None:
    history = [
        {"validation_loss": 0.912, "validation_score": 0.567},
        {"validation_loss": 0.95, "validation_score": 0.65},
    ]
    assert no_better_epoch(history, "loss", "balanced_accuracy") == (
        "the validation loss, which was watched, does not fall in the only epoch (0.9120 at the "
        "start, lowest later 0.9500), although the validation balanced accuracy rises from 0.5670 "
        "to 0.6500 (epoch 1)"
    )
    assert "(the loss is not finite)" in no_better_epoch(
        history[:1], "loss", "accuracy", stopped="the loss is not finite"
    )


@given(LOSSES, LOSSES)
def test_a_loss_rises_only_where_it_does(before, after) -> None:
    said = PairedChange("images", (before, after), (0.5, 0.6), None, None).below("loss")
    if after < before:
        assert said is None
    else:
        assert ("rose" in str(said)) == (after > before)
        assert ("did not fall" in str(said)) == (after == before)


@pytest.mark.parametrize("n_units", [2, 5, 40])
def test_few_images_that_all_agree_are_no_certainty(n_units) -> None:
    test = paired_bootstrap(1.0, np.ones(2000), n_units)
    assert test.p == pytest.approx(0.5 ** (n_units - 1))
    assert paired_bootstrap(0.0, np.zeros(2000), n_units).p == 1


def grouped():
    groups = np.arange(72) // 3
    data = make_data([36, 36], n_features=20, distance=0.8, groups=groups)
    shared = np.random.default_rng(1).normal(size=(24, 20)).astype(np.float32)
    data.X["net"] += 2 * shared[groups]
    return data


@pytest.mark.parametrize("estimate", ["auto", "repeated", "holdout", "cv"])
def test_the_note_of_groups_names_the_number_to_report(estimate) -> None:
    config = FitConfig(head=["ridge", "knn"], cv=3, estimate=estimate, repeats=2)
    result = fit_heads(grouped(), config)
    [note] = [n for n in result.notes if "groups kept together" in n]
    numbers = re.findall(r"\d\.\d{4}", note)
    of = [result.estimate, result.estimates.get("cv"), result.estimates["image_level"]]
    wanted = [f"{e['metrics']['balanced_accuracy']['value']:.4f}" for e in of if e is not None]
    assert numbers[: len(wanted)] == wanted
    assert metric_name("balanced_accuracy") in note
    if estimate == "cv":
        assert "too high on average, because candidates were selected on the same folds" in note
    else:
        assert f"to report for new groups is {wanted[0]} (" in note
        above = float(wanted[1]) - float(wanted[0])
        assert ("optimistic" in note) == (above > 0)


def test_the_note_of_groups_of_a_single_candidate() -> None:
    config = FitConfig(head=["ridge"], param_grid={"ridge": {"alpha": [1.0]}}, cv=3)
    result = fit_heads(grouped(), config)
    [note] = [n for n in result.notes if "groups kept together" in n]
    assert "too high" not in note
    assert note.startswith("The chosen candidate's cross-validated balanced accuracy is ")


def test_a_learning_curve_on_the_folds_that_chose_says_so() -> None:
    options = {"cv": 3, "learning_curve": True, "estimate": "cv"}
    chosen = fit_heads(grouped(), FitConfig(head=["ridge", "knn"], **options))
    assert any("too high on average" in n for n in chosen.learning_curve["notes"])
    one = FitConfig(head=["ridge"], param_grid={"ridge": {"alpha": [1.0]}}, **options)
    assert not fit_heads(grouped(), one).learning_curve["notes"]


def test_groups_of_the_test_split_are_counted_apart() -> None:
    groups = np.arange(60) // 3
    splits = np.where(np.arange(60) % 5 == 0, "test", "train")
    data = make_data([30, 30], groups=groups, splits=splits)
    found = fit_heads(data, FitConfig(head=["ridge"], cv=3)).document()
    tested = {g for g, s in zip(groups, splits, strict=True) if s == "test"}
    assert found["n_groups_in_all"] == 20
    assert found["n_groups_also_tested"] == len(tested)
    alone = fit_heads(grouped(), FitConfig(head=["ridge"], cv=3)).document()
    assert (alone["n_groups_in_all"], alone["n_groups_also_tested"]) == (24, 0)


def test_a_feature_that_never_varied_in_training_does_not_decide_who_is_near() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 6)).astype(np.float32)
    X[:, 0] = 0.1
    X[-1, 0] = 0.2  # only in the test split
    Z = standardised(X, X[:-1])
    assert np.abs(Z).max() < 10
    np.testing.assert_allclose(Z[:-1, 1:].std(axis=0), 1, rtol=1e-4)
