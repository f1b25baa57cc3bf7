"""A budget: what it leaves out is said, and nested searches make no more of it than the search."""

from __future__ import annotations

import pytest
from fit_lab import make_data
from hypothesis import given
from hypothesis import strategies as st

from featx.config import FitConfig, parse_config
from featx.durations import read_seconds
from featx.errors import ConfigError
from featx.fitting import exploring, fit_heads
from featx.fitting.budget import Budget

NAMES = ["bayes", "grid", "halving", "random"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h", 3600), ("2h30m", 9000), ("1h1m1s", 3661), ("0.5m", 30)],
)
def test_lengths_of_time(text, seconds):
    assert read_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "30m2h", "0s", "-5m", "5min", "1e3s"])
def test_other_texts_are_refused(text):
    with pytest.raises(
        ConfigError, match=r"budget: should be a length of time above 0, such as 90s, 5m or 2h30m"
    ):
        parse_config(FitConfig, {"budget": text}, source="test")


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_hours_minutes_and_seconds_add_up(h, m, s):
    assert read_seconds(f"{h}h{m}m{s}s") == 3600 * h + 60 * m + s


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_time_is_shared_and_what_is_left_over_goes_to_the_next():
    clock = Clock()
    budget = Budget(30.0, [1.0, 2.0], clock)
    budget.next_part()
    clock.now = 9.9
    assert not budget.spent
    clock.now = 10.0
    assert budget.spent
    clock.now = 4.0  # had the search ended here
    budget.next_part()
    clock.now = 29.9
    assert not budget.spent
    clock.now = 30.0
    assert budget.spent
    budget.next_part()
    assert budget.spent


@pytest.fixture
def batches(monkeypatch):
    """A clock on which every batch takes a second; what each batch scored."""
    clock, seen = Clock(), []
    monkeypatch.setattr(exploring, "Budget", lambda s, weights: Budget(s, weights, clock))
    original = exploring._by_share

    def by_share(wave):
        clock.now += 1.0
        seen.append([len(trials) for _, trials in wave])
        return original(wave)

    monkeypatch.setattr(exploring, "_by_share", by_share)
    return seen


def config(**options):
    return FitConfig(head=["ridge", "knn"], sampler=["smote"], class_weight="none", **options)


def data():
    return make_data([40, 30, 14], n_features=6, distance=1.5)


def statuses(result):
    return [candidate.status for candidate in result.candidates]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_reached_is_said(name, batches):
    """Two seconds for the search: two rows, the first of which is always reached."""
    result = fit_heads(data(), config(search=name, trials=8, budget="2s", estimate="cv", cv=3))
    assert statuses(result) == ["ok", "ok", "not reached", "not reached"]
    assert result.candidates[2].params == {}
    said = "not reached: knn + net, knn + net + smote."
    assert any(n.startswith("The budget of 2s ended") and n.endswith(said) for n in result.notes)
    document = result.document()["search"]
    assert document["ended_by_budget"] == ["search"]
    assert document["trials_by_row"]["knn + net"] == 0
    assert document["trials_by_row"]["ridge + net"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_budget_that_is_enough_changes_nothing(name):
    options = {"search": name, "trials": 6, "cv": 3}
    plain, ample = (fit_heads(data(), config(**options, budget=b)) for b in (None, "1h"))
    assert [c.grid for c in ample.candidates] == [c.grid for c in plain.candidates]
    assert ample.document()["search"]["ended_by_budget"] == []
    if name == "grid":  # others' outer folds may ask for more than the search did
        assert list(ample.predictions.rows()) == list(plain.predictions.rows())


@pytest.mark.parametrize("name", NAMES)
def test_nested_searches_make_no_more_trials_than_the_search(name, batches):
    """The search gets 3 of 6 fits: two of the four seconds, two of the four rows."""
    result = fit_heads(data(), config(search=name, trials=8, budget="4s", cv=3))
    assert statuses(result) == ["ok", "ok", "not reached", "not reached"]
    asked = [each for each in batches if len(each) == 3]  # of the nested search: one an outer fold
    if name != "halving":
        tried = [c.grid for c in result.candidates if c.status == "ok"]
        for outer in range(3):
            assert sum(trials[outer] for trials in asked) <= sum(len(grid) for grid in tried)
    assert result.estimate["method"] == "nested"


def test_nested_searches_that_end_early_are_said(batches):
    """Four batches of the first eight points for the search, three for the nested ones."""
    options = {"param_grid": {"ridge": {"alpha": [float(a) for a in range(1, 33)]}}}
    result = fit_heads(data(), config(budget="7s", cv=3, **options))
    assert result.document()["search"]["ended_by_budget"] == ["nested", "search"]
    assert any("they selected among fewer candidates" in n for n in result.notes)
    assert len(result.candidates[0].grid) == 8


def test_a_first_row_that_cannot_be_fitted_does_not_use_up_the_budget(batches):
    few = make_data([30, 30, 1], n_features=4)
    result = fit_heads(
        few,
        FitConfig(
            head=["ridge"],
            sampler=["adasyn", "random-over"],
            class_weight="none",
            budget="1s",
            estimate="cv",
            cv=3,
        ),
    )
    assert result.chosen.status == "ok"
