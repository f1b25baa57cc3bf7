"""What a search found is not fitted again: after an interruption, or with more time."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import time

import numpy as np
import pytest
from fit_lab import make_data

from featx.config import FitConfig
from featx.fitting import exploring, fit, fit_heads, training
from featx.fitting.budget import Budget
from featx.fitting.candidates import Setup, Trial
from featx.fitting.executors import ClusterExecutor
from featx.fitting.journal import Entry, Journal, ScoreFile

TRIAL = Trial(Setup(("net",), "logreg", "none", "none"), (("C", 0.1), ("tol", 1e-4)))
CONFIG = FitConfig(head=["ridge", "knn"], class_weight="balanced", cv=3, jobs=2)


def data():
    return make_data([40, 30, 14], n_features=6, distance=1.5)


@pytest.fixture
def fits(monkeypatch):
    """How often a head was fitted for its scores."""
    made = []
    original = training.build_estimator

    def build(trial, **options):
        made.append(trial)
        return original(trial, **options)

    monkeypatch.setattr(training, "build_estimator", build)
    return made


def without_times(result):
    document = copy.deepcopy(result.document())
    document.pop("elapsed_s")
    document["search"].pop("resumed_fits")
    for candidate in [*document["candidates"], document["chosen"]]:
        candidate.pop("elapsed_s", None)
    return document


def lines(folder):
    return [line for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", ["grid", "halving", "bayes"])
def test_the_same_fit_finds_everything_and_says_the_same(name, tmp_path, fits):
    config = CONFIG.model_copy(update={"search": name, "trials": 6, "head": ["ridge"]})
    first = fit_heads(data(), config, journal=tmp_path)
    n_first = len(fits)
    again = fit_heads(data(), config, journal=tmp_path)
    assert without_times(again) == without_times(first)
    assert list(again.predictions.rows()) == list(first.predictions.rows())
    assert first.document()["search"]["resumed_fits"] == 0
    # what is left are the chosen trials, whose outputs are not kept, and the model
    assert n_first + (1 + 3) * 3 + 2 >= len(fits)
    resumed = again.document()["search"]["resumed_fits"]
    assert len(lines(tmp_path)) - 3 * 3 <= resumed <= len(lines(tmp_path))


@pytest.mark.parametrize("search", ["grid", "halving"])
@pytest.mark.parametrize("estimate", ["cv", "nested"])
def test_a_search_cut_anywhere_goes_on_to_the_same_bits(search, estimate, tmp_path):
    """Each logistic regression starts from the one before: a part of a path is not its like."""
    grid = {"logreg": {"C": [0.01, 0.1, 1.0, 10.0]}, "svm-linear": {"C": [0.01, 1.0]}}
    config = FitConfig(
        head=["logreg", "svm-linear"],
        param_grid=grid,
        cv=3,
        search=search,
        trials=5,
        estimate=estimate,
        sampler=["smote"],
        jobs=2,
    )
    whole = fit_heads(data(), config)
    fit_heads(data(), config, journal=tmp_path)
    known = lines(tmp_path)
    for kept in (0, 1, len(known) // 3, len(known) // 2 + 1, len(known) - 1, len(known)):
        folder = tmp_path / str(kept)
        folder.mkdir()
        left = kept
        for path in sorted(tmp_path.glob("*.jsonl")):
            rows = path.read_text().splitlines(keepends=True)
            (folder / path.name).write_text("".join(rows[:left]))
            left -= min(left, len(rows))
        again = fit_heads(data(), config, journal=folder)
        assert without_times(again) == without_times(whole)
        assert list(again.predictions.rows()) == list(whole.predictions.rows())
        ours, theirs = (np.asarray(r.pipeline[-1].intercept_) for r in (again, whole))
        assert np.array_equal(ours, theirs)


def test_a_longer_path_is_the_same_as_without_what_a_shorter_one_left(tmp_path):
    short, long = (
        FitConfig(param_grid={"logreg": {"C": C}}, cv=3, estimate="cv")
        for C in ([0.1, 10.0], [0.01, 0.1, 1.0, 10.0])
    )
    fit_heads(data(), short, journal=tmp_path)
    found = fit_heads(data(), long, journal=tmp_path)
    assert without_times(found) == without_times(fit_heads(data(), long))


def test_fits_that_met_their_limit_are_counted_after_resuming_too(tmp_path):
    grid = {"logreg": {"C": [10.0, 1.0], "max_iter": [2]}}
    config = FitConfig(param_grid=grid, cv=3, estimate="cv")
    results = [fit_heads(data(), config, journal=tmp_path) for _ in range(2)]
    assert "6 fits stopped at the iteration limit" in results[0].chosen.notes[0]
    assert results[1].chosen.notes == results[0].chosen.notes


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"scoring": "accuracy"},
        {"cv": 4},
    ],
    ids=str,
)
def test_another_fit_finds_nothing(change, tmp_path):
    options = CONFIG.model_copy(update={"estimate": "cv"})
    fit_heads(data(), options, journal=tmp_path)
    other = fit_heads(data(), options.model_copy(update=change), journal=tmp_path)
    assert other.document()["search"]["resumed_fits"] == 0


def test_other_embeddings_labels_or_groups_find_nothing(tmp_path):
    config = CONFIG.model_copy(update={"estimate": "cv"})
    fit_heads(data(), config, journal=tmp_path)
    changed, relabelled, grouped = data(), data(), data()
    changed.X["net"][0, 0] += 1e-6
    relabelled.y[:2], relabelled.y[-2:] = "c2", "c0"
    grouped.groups = np.array([str(i // 2) for i in range(84)])
    for other in (changed, relabelled, grouped):
        result = fit_heads(other, config, journal=tmp_path)
        assert result.document()["search"]["resumed_fits"] == 0


def test_more_points_and_more_heads_find_the_old_ones(tmp_path):
    few = CONFIG.model_copy(update={"head": ["ridge"], "estimate": "cv"})
    fit_heads(data(), few, journal=tmp_path)
    n_few = len(lines(tmp_path))
    more = fit_heads(data(), CONFIG.model_copy(update={"estimate": "cv"}), journal=tmp_path)
    assert more.document()["search"]["resumed_fits"] == n_few < len(lines(tmp_path))


def test_a_larger_budget_goes_on_where_the_smaller_one_ended(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(exploring, "Budget", lambda s, weights: Budget(s, weights, lambda: now[0]))
    original = exploring._by_share

    def by_share(wave):
        now[0] += 1.0
        return original(wave)

    monkeypatch.setattr(exploring, "_by_share", by_share)
    small, large = (CONFIG.model_copy(update={"budget": b}) for b in ("4s", "1h"))
    result = fit_heads(data(), small, journal=tmp_path)
    assert "not reached" in {c.status for c in result.candidates}
    n_small = len(lines(tmp_path))
    result = fit_heads(data(), large, journal=tmp_path)
    assert {c.status for c in result.candidates} == {"ok"}
    assert result.document()["search"]["resumed_fits"] == n_small
    assert [c.grid for c in result.candidates] == [
        c.grid for c in fit_heads(data(), CONFIG).candidates
    ]


class Here:
    """A cluster's session on this machine."""

    def share(self, value):
        return lambda: value


def test_scores_found_on_other_machines_are_kept_too(tmp_path, monkeypatch):
    import joblib

    @contextlib.contextmanager
    def spread(config):
        yield ClusterExecutor(Here(), joblib.Parallel(n_jobs=1))

    monkeypatch.setattr(fit, "open_executor", spread)
    config = CONFIG.model_copy(update={"head": ["ridge"], "estimate": "cv"})
    first, again = (fit_heads(data(), config, journal=tmp_path) for _ in range(2))
    assert again.document()["search"]["resumed_fits"] == len(lines(tmp_path)) > 0
    assert without_times(again) == without_times(first)
    assert without_times(again) == without_times(fit_heads(data(), config))


# -- the file --------------------------------------------------------------------------------------


def test_scores_come_back_as_they_were(tmp_path):
    scores = [0.1 + 0.2, float("nan"), -np.pi]
    ScoreFile(tmp_path / "a.jsonl").add(Entry(TRIAL, (0, 1, 2), scores, True))
    found, stopped = ScoreFile(tmp_path / "a.jsonl").find(TRIAL, (0, 1, 2))
    assert stopped is True
    assert found[0] == scores[0]
    assert np.isnan(found[1])
    assert found[2] == scores[2]
    other = Trial(TRIAL.setup, (("C", 0.1), ("tol", 1e-5)))
    assert ScoreFile(tmp_path / "a.jsonl").find(other, (0, 1, 2)) is None
    assert ScoreFile(tmp_path / "a.jsonl").find(TRIAL, (0,)) is None


def test_a_torn_line_is_left_out_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    for i in range(2):
        ScoreFile(path).add(Entry(TRIAL, (i,), [0.5], False))
    whole = path.read_bytes()
    for cut in range(len(whole.split(b"\n")[0]) + 1, len(whole)):
        path.write_bytes(whole[:cut])
        file = ScoreFile(path)
        assert file.find(TRIAL, (0,)) == ([0.5], False)
        if cut < len(whole) - 1:
            assert file.find(TRIAL, (1,)) is None
        file.add(Entry(TRIAL, (2,), [0.25], False))
        assert ScoreFile(path).find(TRIAL, (2,)) == ([0.25], False)


@pytest.mark.parametrize(
    "text", ["null", "[1]", '["a", 3, true]', '["a", ["x"], true]', "\xff{", "[" * 9000]
)
def test_anything_else_in_the_file_is_left_out(text, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(text + "\n", "latin-1")
    file = ScoreFile(path)
    assert file.find(TRIAL, (0,)) is None
    file.add(Entry(TRIAL, (0,), [1.0], False))
    assert ScoreFile(path).find(TRIAL, (0,)) == ([1.0], False)


def test_a_file_that_tells_fewer_scores_than_folds_is_not_believed(tmp_path):
    ScoreFile(tmp_path / "a.jsonl").add(Entry(TRIAL, (0, 1), [1.0], False))
    assert ScoreFile(tmp_path / "a.jsonl").find(TRIAL, (0, 1)) is None


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    result = fit_heads(
        data(), CONFIG.model_copy(update={"estimate": "cv"}), journal=tmp_path / "file" / "x"
    )
    assert result.chosen.status == "ok"
    assert capsys.readouterr().err.count("this search would start again if interrupted") == 1


def test_old_files_are_removed(tmp_path):
    old, new = (tmp_path / f"{digit * 40}.jsonl" for digit in "ab")
    other = tmp_path / "mine.jsonl"
    for path, days in ((old, 31), (new, 29), (other, 31)):
        path.write_text("")
        then = time.time() - days * 24 * 3600
        os.utime(path, (then, then))
    Journal(tmp_path)
    assert not old.exists()
    assert new.exists()
    assert other.exists(), "it is not the journal's own"


def test_lines_are_written_once(tmp_path):
    fit_heads(data(), CONFIG, journal=tmp_path)
    keys = [json.loads(line)[1][0] for line in lines(tmp_path)]
    assert len(keys) == len(set(keys))
