"""Each way to estimate: what is held out, what is judged, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest
from fit_lab import make_data

from featx.config import FitConfig
from featx.data.splits import hold_out, link_components
from featx.errors import FitError
from featx.fitting import fit_heads

RIDGE = {"head": ["ridge"], "param_grid": {"ridge": {"alpha": [10.0, 1.0]}}}
ONE = {"head": ["ridge"], "param_grid": {"ridge": {"alpha": [10.0]}}}


def rows(result, split):
    return [r for r in result.predictions.rows() if r[1] == split]


def test_holdout_keeps_a_stratified_share_back_and_judges_the_model_that_ships():
    data = make_data([60, 30, 10], distance=2)
    result = fit_heads(data, FitConfig(**RIDGE, estimate="holdout", holdout=0.3))
    assert result.estimate["method"] == "holdout"
    support = [c["support"] for c in result.estimate["per_class"].values()]
    assert support == [18, 9, 3]
    assert result.settings["n_images"] == 70
    assert result.settings["n_test_images"] == 30
    held = {row[0] for row in rows(result, "holdout")}
    assert held.isdisjoint({row[0] for row in rows(result, "oof")})
    judged = np.isin(data.ids, list(held))
    right = result.pipeline.predict(data.X["net"][judged]) == data.y[judged]
    assert result.estimate["metrics"]["accuracy"]["value"] == pytest.approx(right.mean())


def test_holdout_keeps_groups_and_copies_together():
    copies = list(range(120))
    copies[5] = copies[100]  # joins the groups of rows 5 and 100
    data = make_data([60, 60], groups=np.arange(120) // 4 % 15, copies=copies)
    result = fit_heads(data, FitConfig(**RIDGE, estimate="holdout"))
    held = np.isin(data.ids, [row[0] for row in rows(result, "holdout")])
    assert 0 < held.sum() < 60
    assert set(data.groups[held]).isdisjoint(data.groups[~held])
    assert held[5] == held[100]


def test_holdout_uses_the_test_split_where_there_is_one():
    data = make_data([50, 50], splits=(["train"] * 4 + ["test"]) * 20)
    result = fit_heads(data, FitConfig(**RIDGE, estimate="holdout"))
    assert result.estimate["method"] == "test"
    assert result.estimate["n_images"] == 20


def test_a_class_too_small_to_hold_out_is_named():
    data = make_data([40, 40, 2])
    result = fit_heads(data, FitConfig(**RIDGE, estimate="holdout"))
    assert result.estimate["per_class"]["c2"]["recall"] == {
        "value": None,
        "low": None,
        "high": None,
    }
    assert any("hold any out of: c2" in note for note in result.notes)


def test_a_hold_out_without_two_classes_is_refused():
    y, groups = np.repeat([0, 1], [20, 20]), np.repeat([0, 1, 2, 3], 10)
    with pytest.raises(FitError, match=r"Holding out 0\.2 of 40 images.*both need two classes"):
        hold_out(y, link_components(groups), ["a", "b"], share=0.2, seed=0)


@pytest.mark.parametrize("config", [RIDGE, ONE], ids=["nested", "nothing chosen"])
def test_repeated_predicts_every_image_once_in_each_partition(config):
    data = make_data([25, 25], distance=1.5)
    result = fit_heads(data, FitConfig(**config, estimate="repeated", repeats=3))
    estimate = result.estimate
    assert estimate["method"] == "repeated"
    assert ("no selection took place" in estimate["description"]) == (config is ONE)
    accuracies, folds = [], []
    for repeat in (1, 2, 3):
        predicted = rows(result, f"repeated-{repeat}")
        assert [row[0] for row in predicted] == data.ids
        accuracies.append(np.mean([row[3] == row[4] for row in predicted]))
        folds.append(tuple(row[2] for row in predicted))
    assert len(set(folds)) == 3
    assert estimate["repeats"] == {"n": 3, "accuracy": pytest.approx(accuracies)}
    assert estimate["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(accuracies))
    assert estimate["n_images"] == 50
    assert estimate["interval"].startswith("95 % expanded percentile bootstrap over 50 images")


def test_the_first_repeat_is_the_nested_estimate():
    data = make_data([25, 25], distance=1.5)
    nested = fit_heads(data, FitConfig(**RIDGE, estimate="nested"))
    repeated = fit_heads(data, FitConfig(**RIDGE, estimate="repeated", repeats=2))
    one, other = (
        [row[2:] for row in rows(r, s)] for r, s in ((nested, "nested"), (repeated, "repeated-1"))
    )
    assert one == other


def test_groups_of_one_class_are_judged_as_groups():
    """Images alone are hard, twelve of a group together are easy."""
    groups = np.repeat(np.arange(20), 12)
    data = make_data([120, 120], distance=1.2, groups=groups)
    result = fit_heads(data, FitConfig(**RIDGE))
    by_group = result.estimate["by_group"]
    assert by_group["n_predicted_groups"] == 20
    assert by_group["groups_of_several_classes"] == 0
    assert (
        by_group["metrics"]["accuracy"]["value"] > result.estimate["metrics"]["accuracy"]["value"]
    )
    assert by_group["interval"].startswith("95 % expanded percentile bootstrap over 20 groups")


def test_groups_of_several_classes_have_no_prediction_of_their_own():
    data = make_data([60, 60], groups=np.arange(120) % 10)
    assert fit_heads(data, FitConfig(**RIDGE)).estimate["by_group"] is None


def test_a_test_split_of_one_group_has_a_number_but_no_interval():
    splits = ["train"] * 50 + ["test"] * 10 + ["train"] * 50 + ["test"] * 10
    groups = np.where(np.array(splits) == "test", 99, np.arange(120))
    data = make_data([60, 60], splits=splits, groups=groups, distance=1)
    accuracy = fit_heads(data, FitConfig(**RIDGE)).estimate["metrics"]["accuracy"]
    assert 0 < accuracy["value"] < 1
    assert accuracy["low"] is accuracy["high"] is None


def test_predictions_say_what_stays_together_and_which_bytes_were_judged():
    data = make_data([20, 20], distance=1.5)
    data.groups = np.array([f"g{i // 4}" for i in range(40)])
    data.hashes = data.hashes.copy()
    data.hashes[39] = data.hashes[0]
    result = fit_heads(data, FitConfig(**RIDGE, cv=3))
    predicted = [dict(zip(result.predictions.columns, r, strict=True)) for r in rows(result, "oof")]
    unit = {r["id"]: r["unit"] for r in predicted}
    assert len({unit[name] for name in data.ids}) == 9  # the copy joins two of the ten groups
    assert unit[data.ids[0]] == unit[data.ids[39]] == unit[data.ids[36]] != unit[data.ids[4]]
    contents = [data.hashes[data.ids.index(r["id"])].tobytes().hex()[:16] for r in predicted]
    assert [r["content"] for r in predicted] == contents
