"""The learning curve of a fit: what it trains on, that it repeats, and hard cases."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fit_lab import make_data, make_search

from featx.config import FitConfig
from featx.fitting import FitData, FitResult, curve, fit_heads
from featx.fitting.candidates import Setup, Trial

RIDGE: dict[str, Any] = {
    "head": ["ridge"],
    "param_grid": {"ridge": {"alpha": [30.0]}},
    "estimate": "cv",
    "learning_curve": True,
    "jobs": 1,
}


def fit(data: FitData, **more: Any) -> FitResult:
    return fit_heads(data, FitConfig(**{**RIDGE, **more}))


def curve_of(data: FitData, **more: Any) -> dict[str, Any]:
    found = fit(data, **more).learning_curve
    assert found is not None
    json.dumps(found, allow_nan=False)  # what results.json demands
    return found


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Embeddings of every training subset that the curve prepares, in order."""
    seen = []
    real = curve.project

    def project(part: Any, rows: np.ndarray, *rest: Any, **more: Any) -> Any:
        seen.append(part.X["net"][rows])
        return real(part, rows, *rest, **more)

    monkeypatch.setattr(curve, "project", project)
    return seen


def rows_of(data: FitData, X: np.ndarray) -> np.ndarray:
    """Which images these embeddings are."""
    index = {x.tobytes(): i for i, x in enumerate(data.X["net"])}
    return np.array([index[x.tobytes()] for x in X])


def test_the_largest_size_is_the_search_itself() -> None:
    data = make_data([120, 80, 40], n_features=40)
    result = fit(data)
    found = result.learning_curve
    last = found["sizes"][-1]
    assert last["metrics"]["balanced_accuracy"]["value"] == pytest.approx(result.chosen.cv_mean)
    assert last["n_images"] == 192
    assert [row["recall"]["value"] for row in found["classes"]] == pytest.approx(
        [result.estimate["per_class"][c]["recall"]["value"] for c in result.classes]
    )


def test_sizes_double_and_the_score_grows_with_them() -> None:
    found = curve_of(make_data([160, 160], n_features=50, distance=2.5))
    n = [size["n_images"] for size in found["sizes"]]
    assert n == [8, 16, 32, 64, 128, 256]
    assert [size["draws"] for size in found["sizes"]] == [3, 3, 3, 3, 3, 1]
    values = [size["metrics"]["accuracy"]["value"] for size in found["sizes"]]
    assert values[-1] > values[0] + 0.1
    for size in found["sizes"]:
        for row in size["metrics"].values():
            assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
    growth = found["growth"]["accuracy"]
    assert [row["n_images"] for row in growth["ahead"]] == [320, 640, 1280]
    assert growth["ahead"][1]["gain"]["value"] >= 0


def test_subsets_are_nested_and_stay_in_their_fold(trained_on: list[np.ndarray]) -> None:
    data = make_data([60, 60], n_features=5)
    found = curve_of(data, cv=3)
    sizes = len(found["sizes"]) - 1
    assert len(trained_on) == sizes * 3 * 3  # folds and draws; the largest was known
    subsets = [set(rows_of(data, X).tolist()) for X in trained_on]
    by_set = [subsets[i::9] for i in range(9)]  # one fold and draw, by size
    for nested in by_set:
        assert all(a < b for a, b in pairwise(nested))
    for fold in range(3):
        held = set(range(120)) - set.union(*by_set[3 * fold], *by_set[3 * fold + 1])
        assert len(held) >= 40
    labels = data.y[sorted(subsets[0])]
    assert sorted((labels == c).sum() for c in ("c0", "c1")) == [4, 4]


def test_groups_and_copies_are_never_split(trained_on: list[np.ndarray]) -> None:
    groups = np.repeat(np.arange(30), 5)
    data = make_data([75, 75], n_features=5, groups=groups)
    found = curve_of(data)
    assert [size["n_groups"] for size in found["sizes"]][-1] == 24
    assert len(trained_on) > 15
    for X in trained_on:
        rows = rows_of(data, X)
        assert not np.isin(groups[rows], np.delete(groups, rows)).any()
    copied = make_data([75, 75], n_features=5, copies=np.arange(150) // 2)
    trained_on.clear()
    curve_of(copied)
    for X in trained_on:
        rows = rows_of(copied, X)
        assert not np.isin(rows // 2, np.delete(np.arange(150), rows) // 2).any()


def test_the_curve_does_not_depend_on_jobs_and_changes_with_the_seed() -> None:
    data = make_data([60, 40, 30], n_features=20)

    def timeless(**more: Any) -> str:
        found = curve_of(data, **more)
        found.pop("elapsed_s")
        return json.dumps(found)

    assert timeless(jobs=1) == timeless(jobs=3)
    assert timeless(jobs=1) != timeless(jobs=1, seed=1)


def test_nothing_else_changes_with_the_curve() -> None:
    data = make_data([40, 40], n_features=20)
    with_curve, without = fit(data), fit(data, learning_curve=False)
    assert without.learning_curve is None
    assert with_curve.estimate == without.estimate
    assert with_curve.notes == without.notes


@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc_ovr"])
def test_other_scores(scoring: str) -> None:
    found = curve_of(make_data([60, 60], n_features=30, distance=2.0), scoring=scoring)
    assert found["scorings"] == [scoring, "accuracy"]
    values = [size["metrics"][scoring]["value"] for size in found["sizes"]]
    assert values[-1] > values[0]
    for row in found["growth"][scoring]["ahead"]:
        assert row["score"]["value"] <= (0 if scoring == "neg_log_loss" else 1)


def test_a_class_of_three_is_in_every_subset_and_nothing_is_foretold_of_it() -> None:
    found = curve_of(make_data([60, 60, 3], n_features=20), sampler=["smote"])
    tiny = found["classes"][2]
    assert (tiny["class"], tiny["n_images"]) == ("c2", 3)
    assert all(point["n_images"] >= 1 for point in tiny["by_size"])
    assert tiny["growth"]["ahead"] == []
    assert tiny["growth"]["reason"]
    assert found["sizes"][0]["n_images"] < 20  # one tiny class does not shorten the curve


def test_a_class_in_one_group_is_never_right_and_the_curve_goes_on() -> None:
    groups = [f"a{i}" for i in range(30)] + [f"b{i}" for i in range(30)] + ["c"] * 10
    found = curve_of(make_data([30, 30, 10], n_features=10, groups=groups))
    assert found["classes"][2]["recall"]["value"] == 0
    assert found["classes"][2]["growth"]["ahead"] == []


def test_few_images_give_a_short_curve_that_foretells_nothing() -> None:
    found = curve_of(make_data([6, 6], n_features=5))
    assert 1 <= len(found["sizes"]) < 4
    assert all(growth["verdict"] == "unknown" for growth in found["growth"].values())


def test_sizes_that_the_sampler_cannot_work_on_are_left_out_and_said() -> None:
    """ADASYN needs neighbours of another class, which few images of far classes are not."""
    search = make_search(make_data([60, 30], n_features=3, distance=5.0), n_folds=3)
    trial = Trial(Setup(("net",), "ridge", "adasyn", "none"), (("alpha", 1.0),))
    search.run([trial], search.data.single, label="")
    found = curve.learning_curve(search, trial, free=True)
    assert not search.found.refused
    assert [size["n_images"] for size in found["sizes"]][-1] == 60
    assert len(found["sizes"]) == 4
    assert "of the training images were too few: adasyn cannot resample" in found["notes"][0]


def test_views_of_the_subset_are_trained_on(trained_on: list[np.ndarray]) -> None:
    data = make_data([40, 40], n_features=4)
    noise = np.random.default_rng(0).normal(0, 0.1, (80, 2, 4))
    data.views = {"net": (data.X["net"][:, None] + noise).astype(np.float32)}
    result = fit(data)
    n_views = result.chosen.views
    n_first = round(len(trained_on[0]) / (1 + n_views))
    assert abs(n_first - result.learning_curve["sizes"][0]["n_images"]) <= 1
