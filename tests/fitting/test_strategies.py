"""Ways to search: what they try, what they find, and that outer folds take no part in either."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from fit_lab import make_data, make_search
from hypothesis import given
from hypothesis import strategies as st

from featx.config import FitConfig
from featx.errors import MissingExtraError, UnknownNameError
from featx.fitting import executors, fit_heads
from featx.fitting.candidates import Trial, plan_setups
from featx.fitting.executors import Job, ThreadExecutor
from featx.fitting.exploring import Explorer
from featx.fitting.partition import take_share
from featx.fitting.plan import make_plan
from featx.fitting.strategies import STRATEGIES

NAMES = ["bayes", "grid", "halving", "random"]


class Planted:
    """An objective whose scores are known beforehand; the share of the images blurs them."""

    def __init__(self, score, *, refused=()):
        self.score, self.asked, self._refused = score, [], set(refused)

    def mean(self, trial, share=1.0):
        known = any(trial in trials for s, trials in self.asked if s == share)
        return self.score(dict(trial.params)) if known else float("nan")

    def refused(self, setup, share=1.0):
        return setup.head in self._refused

    def n_images(self, share=1.0):
        return round(900 * share)


def plan_of(**options):
    config = FitConfig(**options)
    return make_plan(plan_setups([("net",)], config)[0], config)


def run(name, objective, plan, *, rounds=100):
    """Take a strategy to its end; after so many rounds time is up."""
    steps = STRATEGIES.get(name).search(objective, plan)
    ask = next(steps)
    try:
        while True:
            rounds -= 1
            objective.asked.append((ask.share, list(ask.trials)))
            ask = steps.send(rounds > 0)
    except StopIteration as stop:
        return stop.value


def peak(best):
    return lambda params: -abs(np.log10(params["C"]) - best)


def values(trials, name="C"):
    return [dict(t.params)[name] for t in trials]


def test_every_strategy_is_a_file():
    assert STRATEGIES.names() == NAMES
    for name in NAMES:
        assert STRATEGIES.get(name).name == name
        assert STRATEGIES.get(name).summary
    with pytest.raises(UnknownNameError, match="Did you mean 'bayes'"):
        fit_heads(make_data([9, 9]), FitConfig(search="baies"))


# -- grid ------------------------------------------------------------------------------------------


def test_the_grid_stays_as_it_is_where_the_best_lies_inside():
    objective = Planted(peak(-2))
    trials = run("grid", objective, plan_of())
    assert values(trials) == [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    assert len(objective.asked) == 1


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        (1.2, [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0]),
        (9.0, [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0]),  # the space ends
        (-5.0, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
    ],
)
def test_the_grid_goes_on_past_an_end_until_the_best_is_inside(best, expected):
    objective = Planted(peak(best))
    assert values(run("grid", objective, plan_of())) == expected
    assert sum(len(trials) for _, trials in objective.asked) == len(expected)


def test_the_grid_goes_on_along_the_best_line_only():
    def score(params):
        return np.log10(params["C"]) - (params["gamma"] == "scale")

    trials = run("grid", Planted(score), plan_of(head=["svm-rbf"]))
    further = [dict(t.params) for t in trials if dict(t.params)["C"] > 100]
    assert further == [{"C": 1e3, "gamma": 1e-4}, {"C": 1e4, "gamma": 1e-4}]


def test_the_grid_goes_on_only_for_embeddings_that_can_still_lead():
    """Scores rise by 0.1 a step: three steps more lead `near` past `lead`, but not `far`."""
    at_the_end = {"near": 0.5, "far": 0.2}

    class ByEmbedding(Planted):
        def mean(self, trial, share=1.0):
            exponent = super().mean(trial)
            (name,) = trial.setup.backbones
            return 0.6 - abs(exponent + 2) if name == "lead" else at_the_end[name] + 0.1 * exponent

    config = FitConfig(class_weight="balanced")
    names = [("lead",), ("near",), ("far",)]
    setups = [s for s in plan_setups(names, config)[0] if s.class_weight == "none"]
    alone = plan_setups([("far",)], config)[0][1:]
    objective = ByEmbedding(lambda params: np.log10(params["C"]))
    trials = run("grid", objective, make_plan([*setups, *alone], config))
    tried = {s: [t for t in trials if t.setup == s] for s in [*setups, *alone]}
    assert [len(tried[s]) for s in setups] == [5, 7, 5]
    assert [len(tried[s]) for s in alone] == [7], "of another kind nothing leads it"


def test_where_nothing_differs_nothing_more_is_tried():
    assert len(run("grid", Planted(lambda params: 0.9), plan_of())) == 5


def test_values_that_the_user_gave_are_kept_to():
    for name in NAMES:
        plan = plan_of(param_grid={"logreg": {"C": [0.1, 1.0, 10.0]}}, trials=5)
        assert values(run(name, Planted(peak(9)), plan))[-1] <= 10.0
        assert set(values(run(name, Planted(peak(9)), plan))) <= {0.1, 1.0, 10.0}


def test_an_extended_grid_is_said_and_in_the_results():
    data = make_data([60, 40, 30], n_features=12, distance=1.5)
    result = fit_heads(data, FitConfig(head=["ridge"], cv=4, estimate="cv"))
    assert [g["params"]["alpha"] for g in result.chosen.grid][-2:] == [1.0, 0.1]
    said = "The best alpha of ridge + net was at an end of its grid: 1, 0.1 were tried too."
    assert said in result.notes
    assert result.document()["search"]["trials"] == 7
    own = {"ridge": {"alpha": [1e5, 1e4, 1e3]}}
    result = fit_heads(data, FitConfig(head=["ridge"], param_grid=own, cv=4, estimate="cv"))
    assert len(result.chosen.grid) == 3


# -- random ----------------------------------------------------------------------------------------


def test_random_points_are_distinct_seeded_and_shared_by_rows_of_one_head():
    plan = plan_of(head=["svm-rbf"], sampler=["smote"], trials=12)
    trials = run("random", Planted(lambda params: 0.0), plan)
    by_setup = {s: {t.params for t in trials if t.setup == s} for s in plan.setups}
    points = list(by_setup.values())
    assert [len(p) for p in points] == [12] * 3
    assert points[0] == points[1] == points[2]
    other = run("random", Planted(lambda params: 0.0), plan_of(head=["svm-rbf"], trials=12, seed=1))
    assert not points[0] & {t.params for t in other}


def test_random_tries_all_of_a_small_space_once():
    plan = plan_of(head=["dummy", "logreg"], param_grid={"logreg": {"C": [1.0, 0.1]}}, trials=9)
    trials = run("random", Planted(lambda params: 0.0), plan)
    assert [t.params for t in trials] == [(), (("C", 0.1),), (("C", 1.0),)]


def test_equal_scores_favour_the_stronger_regularisation():
    for head, name, sign in (("logreg", "C", 1), ("ridge", "alpha", -1)):
        found = values(run("random", Planted(lambda p: 0.0), plan_of(head=[head], trials=6)), name)
        assert found == sorted(found, key=lambda value, sign=sign: sign * value)


# -- bayes -----------------------------------------------------------------------------------------


def test_bayes_finds_a_planted_optimum_and_better_than_random():
    def off(name, seed):
        trials = run(name, Planted(peak(-2.3)), plan_of(trials=30, seed=seed))
        assert len(trials) == 30
        return min(abs(np.log10(c) + 2.3) for c in values(trials))

    bayes, random = ([off(name, seed) for seed in range(5)] for name in ("bayes", "random"))
    assert max(bayes) < 0.3
    assert np.mean(bayes) < np.mean(random)


def test_bayes_asks_for_batches_and_gives_up_what_is_refused():
    plan = plan_of(head=["logreg", "ridge"], trials=12)
    objective = Planted(lambda params: params.get("C", 0.0), refused=["ridge"])
    run("bayes", objective, plan)
    assert [len(trials) for _, trials in objective.asked] == [10, 5, 2]


def test_bayes_without_optuna_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'featx\[optuna\]'"):
        fit_heads(make_data([20, 20]), FitConfig(search="bayes", cv=3, estimate="cv"))


# -- halving ---------------------------------------------------------------------------------------


def test_halving_keeps_a_third_and_scores_finalists_in_full():
    objective = Planted(peak(-1.5))
    trials = run("halving", objective, plan_of(trials=18))
    assert [(round(900 * share), len(asked)) for share, asked in objective.asked] == [
        (100, 18),
        (300, 6),
        (900, 2),
    ]
    everyone = sorted(objective.asked[0][1], key=lambda t: -peak(-1.5)(dict(t.params)))
    assert set(trials) == set(everyone[:2])


def test_few_candidates_start_with_more_images():
    objective = Planted(peak(-1.5))
    run("halving", objective, plan_of(param_grid={"logreg": {"C": [0.1, 1.0, 10.0]}}))
    assert [(round(900 * share), len(asked)) for share, asked in objective.asked] == [
        (300, 3),
        (900, 1),
    ]


def test_what_few_images_cannot_tell_goes_on():
    objective = Planted(lambda params: float("nan"))
    assert len(run("halving", objective, plan_of())) == 5


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=8, max_size=120),
    st.integers(0, 5),
)
def test_a_share_keeps_components_folds_and_classes_and_holds_smaller_ones(rows, seed):
    y, components = np.array(rows).T
    components = np.unique(components, return_inverse=True)[1]
    fold = components % 3
    some, more = (
        take_share(y, components, fold, share=share, seed=seed) for share in (1 / 9, 1 / 3)
    )
    assert (more | ~some).all()
    for taken in (some, more):
        for component in np.unique(components):
            assert len(set(taken[components == component])) == 1
        assert set(fold[taken]) == set(fold)
    assert take_share(y, components, fold, share=1.0, seed=seed).all()


def test_a_share_is_stratified():
    y = np.repeat([0, 1, 2], [900, 90, 9])
    fold = np.arange(999) % 3
    taken = take_share(y, np.arange(999), fold, share=1 / 9, seed=0)
    for f in range(3):
        assert np.bincount(y[taken & (fold == f)]).tolist() == [34, 4, 1]


# -- honesty ---------------------------------------------------------------------------------------


def test_the_objective_of_an_outer_fold_never_sees_it():
    data = make_search(make_data([30, 30])).data
    for outer in range(4):
        tests = data.tests_without(outer)
        assert sorted(tested for _, tested in tests) == [i for i in range(4) if i != outer]
        assert all({outer, tested} == set(held) for held, tested in tests)


@pytest.mark.parametrize("name", NAMES)
def test_an_outer_fold_changes_nothing_of_what_is_chosen_for_it(name, monkeypatch):
    """Its embeddings are replaced by noise: its own choice stays, others' may not."""
    config = FitConfig(head=["ridge", "knn"], search=name, trials=20)
    seen = {}
    original = Explorer._advance

    def spy(self, runs, *args, **options):
        original(self, runs, *args, **options)
        seen["order"] = [run.scored() for run in runs]
        seen["scores"] = [{t: run.objective.mean(t) for t in run.scored()} for run in runs]

    monkeypatch.setattr(Explorer, "_advance", spy)

    def nested(outer=None):
        data = make_data([45, 35, 25], n_features=10, distance=1.5)
        search = make_search(data)
        if outer is not None:
            X, rows = search.part.X["net"], search.data.fold == outer
            X[rows] = 50 * np.random.default_rng(1).normal(size=X[rows].shape)
        plan = make_plan(plan_setups([("net",)], config)[0], config)
        choices = Explorer(name, plan).nested(search, "best")
        return choices, seen["order"], seen["scores"]

    before, after = nested(), nested(outer=2)
    for found, again in zip(before, after, strict=True):
        assert found[2] == again[2]
    assert before[2][0] != after[2][0]


@pytest.mark.parametrize(("n_folds", "jobs"), [(5, 2), (5, 1), (5, 4), (7, 3), (3, 8)])
def test_threads_begin_and_end_on_folds_of_their_own(n_folds, jobs):
    search = make_search(make_data([60, 40]), n_folds=n_folds, jobs=jobs)
    setups = plan_setups([("net",)], FitConfig(sampler=["smote"], class_weight="none"))[0]
    trials = [Trial(setup, (("C", 1.0),)) for setup in setups]
    tasks = search._tasks(dict.fromkeys(search.data.single, trials), {})
    job = Job(search.data, search.settings, tasks, keep=False)
    held = [task.left_out for task, _ in executors._in_order(job, jobs)]
    assert sorted(held) == sorted(2 * search.data.single)
    abreast = min(jobs, n_folds)
    for together in (held[:abreast], held[-abreast:]):
        assert len(set(together)) == abreast
    # a fold's prepared images are held from its first task to its last
    spans = [(held.index(h), len(held) - 1 - held[::-1].index(h)) for h in set(held)]
    assert max(sum(a <= i <= b for a, b in spans) for i in range(len(held))) < 2 * abreast


@pytest.mark.parametrize("name", NAMES)
def test_results_do_not_depend_on_jobs(name):
    data = make_data([40, 30, 14], n_features=6, distance=1.5)
    config = FitConfig(head=["ridge", "knn"], sampler=["smote"], search=name, trials=7, cv=3)
    one, three = (fit_heads(data, config.model_copy(update={"jobs": jobs})) for jobs in (1, 3))
    for result in (one, three):
        for candidate in [*result.candidates, result.chosen]:
            object.__setattr__(candidate, "elapsed_s", 0.0)
    assert {**one.document(), "elapsed_s": 0} == {**three.document(), "elapsed_s": 0}


def test_outer_folds_that_try_the_same_share_their_fits(monkeypatch):
    calls = []
    original = ThreadExecutor.execute

    def spy(self, job, *rest):
        calls.append(job.tasks)
        original(self, job, *rest)

    monkeypatch.setattr(ThreadExecutor, "execute", spy)
    config = FitConfig(head=["ridge"], search="random", trials=4, cv=4, jobs=1)
    fit_heads(make_data([30, 30]), config)
    pairs = [task for tasks in calls for task in tasks if len(task.left_out) == 2]
    assert len(pairs) == 6 * 4
    assert sum(any(len(task.left_out) == 2 for task in tasks) for tasks in calls) == 1


def test_shares_of_the_images_serve_outer_folds_in_pairs_too():
    search = make_search(make_data([40, 40]))
    fewer = search.at(1 / 3)
    assert fewer is search.at(1 / 3)
    assert len(fewer.part) == pytest.approx(len(search.part) / 3, abs=8)
    for held in search.data.pairs:
        inside = set(np.array(fewer.part.ids)[fewer.data.training(held)])
        assert inside <= set(np.array(search.part.ids)[search.data.training(held)])
