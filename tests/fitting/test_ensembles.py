"""Ensembles as candidates: known answers, honesty, and when they are chosen."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from fit_lab import make_data, make_search
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featx.artifact.ensemble import EnsembleHead
from featx.config import FitConfig
from featx.errors import ConfigError
from featx.fitting import FitData, fit_heads
from featx.fitting.calibrate import fit_calibration
from featx.fitting.candidates import EnsembleTrial, Setup, Trial
from featx.fitting.data import Part
from featx.fitting.ensemble import PENALTIES, plan_ensembles
from featx.fitting.ensemble_search import run_trials, score_ensembles
from featx.fitting.exploring import Explorer
from featx.fitting.plan import make_plan
from featx.fitting.refit import Refits
from featx.fitting.training import Outputs

LOGREG = Trial(Setup(("net",), "logreg", "none", "none"), (("C", 0.01),))
LDA = Trial(Setup(("wide",), "lda", "none", "none"), (("shrinkage", 0.5),))
SVM = Trial(Setup(("net",), "svm-linear", "none", "none"), (("C", 0.01),))
LIMITED = Trial(Setup(("wide",), "logreg", "random-under", "none"), (("C", 0.01),))
GRID = {"logreg": {"C": [0.01]}, "lda": {"shrinkage": [0.5]}}


def two_backbones(counts=(24, 18, 12), *, distance=2.0, seed=0) -> FitData:
    """``net``, and ``wide``, which sees other noise."""
    data = make_data(counts, distance=distance, seed=seed)
    noise = np.random.default_rng(seed + 1).normal(size=(len(data.y), 8))
    wide = np.hstack([data.X["net"] + noise, noise[:, :2]]).astype(np.float32)
    return replace(data, X={**data.X, "wide": wide})


def together(method: str, *trials: Trial, n_seeds=1) -> EnsembleTrial:
    config = FitConfig(ensemble=[method], seeds=n_seeds)
    found = plan_ensembles({t.setup: t for t in trials}, lambda t: 0.0, config)
    return next(e for e in found if e.setup.head == method)


def by_hand(trial: Trial, part: Part, train: np.ndarray):
    """The trial as scikit-learn's own pipeline."""
    heads = {"logreg": LogisticRegression(max_iter=5000, tol=1e-8)}
    heads["lda"] = LinearDiscriminantAnalysis(solver="lsqr")
    head = heads[trial.setup.head].set_params(**dict(trial.params))
    return make_pipeline(StandardScaler(), head).fit(part.inputs(trial.setup, train), part.y[train])


def test_a_vote_is_the_mean():
    search = make_search(two_backbones())
    vote = together("vote", LOGREG, LDA)
    run_trials(search, [vote], label="")
    part = search.part
    for i in range(4):
        tested = search.data.fold == i
        each = [
            by_hand(t, part, ~tested).predict_proba(part.inputs(t.setup, tested))
            for t in (LOGREG, LDA)
        ]
        np.testing.assert_allclose(
            search.outputs(vote, i).scores, (each[0] + each[1]) / 2, atol=1e-4
        )
    assert vote.setup == Setup(("net", "wide"), "vote", "none", "none")


def summed_log_loss(model, X, y):
    return -log_loss(y, model.predict_proba(X), normalize=False)


def test_a_stack_is_wolperts():
    """Nothing that weighs the members for a fold comes from models that were fitted with it."""
    search = make_search(two_backbones())
    stack = together("stack", LOGREG, LDA)
    run_trials(search, [stack], label="")
    part, fold = search.part, search.data.fold

    def say(rows, train):
        each = [
            by_hand(t, part, train).predict_proba(part.inputs(t.setup, rows)) for t in (LOGREG, LDA)
        ]
        return np.log(np.maximum(np.hstack(each), 1e-6))

    for i in range(4):
        others = [k for k in range(4) if k != i]
        levels = np.concatenate([say(fold == k, ~np.isin(fold, (i, k))) for k in others])
        labels = np.concatenate([part.y[fold == k] for k in others])
        inner = PredefinedSplit(np.concatenate([np.full((fold == k).sum(), k) for k in others]))
        reference = GridSearchCV(
            LogisticRegression(max_iter=1000), {"C": PENALTIES}, scoring=summed_log_loss, cv=inner
        ).fit(levels, labels)
        expected = reference.predict_proba(say(fold == i, fold != i))
        np.testing.assert_allclose(search.outputs(stack, i).scores, expected, atol=2e-3)


def test_margins_vote_by_their_calibration():
    """The temperature of a fold comes from margins that others make of the other folds."""
    search = make_search(two_backbones())
    vote = together("vote", SVM, LDA)
    run_trials(search, [vote], label="")
    fold, kept = search.data.fold, search.found.outputs
    for i in range(4):
        others = [k for k in range(4) if k != i]
        said = [kept[SVM, (min(i, k), max(i, k)), k] for k in others]
        temperature = fit_calibration("none", said, [search.part.y[fold == k] for k in others])
        expected = kept[SVM, (i,), i].probabilities(temperature) + kept[LDA, (i,), i].scores
        np.testing.assert_allclose(search.outputs(vote, i).scores, expected / 2, rtol=1e-12)


def turned(data: FitData, rows: np.ndarray) -> FitData:
    """Other labels and other embeddings for some images."""
    y = data.y.copy()
    y[rows] = np.roll(y[rows], 1)
    X = {name: X.copy() for name, X in data.X.items()}
    for values in X.values():
        values[rows] += 3
    return replace(data, X=X, y=y)


@pytest.mark.parametrize("method", ["vote", "stack"])
@pytest.mark.parametrize("outer", [0, 2])
def test_a_fold_takes_no_part_in_what_judges_it(method: str, outer: int):
    """Changing all of fold ``outer`` changes nothing that is fitted for it."""
    data = two_backbones()
    search = make_search(data, calibrate="sigmoid")
    rows = search.data.fold == outer
    other = make_search(turned(data, rows), calibrate="sigmoid", folds=search.data.folds)
    other.part.y[~rows] = search.part.y[~rows]
    ensemble = together(method, LOGREG, SVM, LIMITED, n_seeds=2)
    inner = [i for i in range(4) if i != outer]
    tests = [((min(outer, i), max(outer, i)), i) for i in inner]
    for each in (search, other):
        run_trials(each, [ensemble], label="")
        score_ensembles(each, [ensemble], tests, label="")
        # the members' answers for images that did not change
        each.part.X["net"][rows], each.part.X["wide"][rows] = 0, 0
    for held, tested in tests:
        key = ensemble, held, tested
        a, b = (s.found.outputs[key].scores for s in (search, other))
        np.testing.assert_array_equal(a, b)
        assert search.found.scores[key] == other.found.scores[key]
    seen = np.isin(search.data.fold, inner[0])
    assert not np.array_equal(
        search.outputs(ensemble, inner[0]).scores[: seen.sum()],
        other.outputs(ensemble, inner[0]).scores[: seen.sum()],
    )


@pytest.mark.parametrize("ensemble", ["vote", "stack"])
def test_the_nested_choice_of_a_fold_does_not_know_it(ensemble: str):
    data = two_backbones()
    config = FitConfig(head=["logreg", "lda"], ensemble=[ensemble], members=2, seeds=2)
    setups = [t.setup for t in (LOGREG, LDA, LIMITED)]
    explorer = Explorer(
        "grid", make_plan(setups, config), together=partial(plan_ensembles, config=config)
    )
    search = make_search(data)
    rows = search.data.fold == 1
    other = make_search(turned(data, rows), folds=search.data.folds)
    choices = [explorer.nested(s, "best")[1] for s in (search, other)]
    assert choices[0] == choices[1]
    combined = 0
    for pair, tested in (((0, 1), 0), ((1, 2), 2), ((1, 3), 3)):
        for trial in {t for t, held, k in search.found.scores if held == pair and k == tested}:
            key = trial, pair, tested
            if key in other.found.scores:
                assert search.found.scores[key] == other.found.scores[key]
                combined += isinstance(trial, EnsembleTrial)
    assert combined >= 6  # the vote or stack, and the copies by seed, on three folds


def test_copies_differ_by_their_seed_alone():
    data = two_backbones()
    config = FitConfig(
        head=["logreg"], sampler=["random-under"], class_weight="none", seeds=3, cv=3,
        estimate="cv", param_grid={"logreg": {"C": [0.01]}},
    )  # fmt: skip
    result = fit_heads(replace(data, X={"net": data.X["net"]}), config)
    assert [(c.head, c.sampler) for c in result.candidates] == [
        ("logreg", "none"), ("logreg", "random-under"), ("logreg x3", "random-under")
    ]  # fmt: skip
    assert result.candidates[2].params == {"C": 0.01, "seeds": 3}
    assert result.candidates[2].against_none is None  # logreg alone has no copies

    trial = Trial(Setup(("net",), "logreg", "random-under", "none"), (("C", 0.01),))
    [copies] = plan_ensembles({trial.setup: trial}, lambda t: 0.0, config)
    shipped = []
    for seed in range(3):
        search = make_search(data)
        search.settings = replace(search.settings, seed=seed)
        shipped.append(Refits(search)(trial))
    search = make_search(data)
    run_trials(search, [copies], label="")
    made = Refits(search)(copies)
    X = data.X["net"]
    expected = np.mean([p.predict_proba(X) for p in shipped], axis=0)
    np.testing.assert_allclose(made.predict_proba(X), expected, atol=1e-6)
    assert len({p.predict_proba(X).tobytes() for p in shipped}) == 3


def test_copies_count_as_one_voice():
    vote = together("vote", LOGREG, LIMITED, n_seeds=4)
    assert [len(voice) for voice in vote.members] == [1, 4]
    search = make_search(two_backbones())
    run_trials(search, [vote], label="")
    plain, *copies = [search.found.outputs[t, (0,), 0].scores for t in vote.trials]
    expected = (plain + np.mean(copies, axis=0)) / 2
    np.testing.assert_allclose(search.outputs(vote, 0).scores, expected, rtol=1e-12)
    assert vote.params == (
        ("members", ("logreg + net (C=0.01)", "logreg + wide + random-under x4 (C=0.01)")),
    )


def test_the_best_take_part():
    points = [replace(LOGREG, setup=replace(LOGREG.setup, backbones=(b,))) for b in "abcd"]
    means = dict(zip(points, (0.5, 0.9, float("nan"), 0.7), strict=True))
    best = {t.setup: t for t in points}
    [vote] = plan_ensembles(best, means.get, FitConfig(ensemble=["vote"], members=2))
    assert vote.trials == [points[1], points[3]]
    assert vote.setup.backbone == "b + d"
    [every] = plan_ensembles(best, means.get, FitConfig(ensemble=["vote", "vote"]))
    assert every.trials == [points[i] for i in (1, 3, 0, 2)]
    assert every.setup.backbone == "a + b + c + d"
    assert plan_ensembles(dict([*best.items()][:1]), means.get, FitConfig(ensemble=["vote"])) == []
    seeded = {s: replace(t, setup=replace(s, sampler="smote")) for s, t in best.items()}
    with pytest.raises(ConfigError, match="4 candidates would have 400 heads; at most 200"):
        plan_ensembles(seeded, lambda t: 0.0, FitConfig(ensemble=["vote"], seeds=100))


def test_a_row_among_the_candidates():
    config = FitConfig(
        head=["logreg", "lda"], ensemble=["vote", "stack"], param_grid=GRID, cv=4, estimate="nested"
    )
    result = fit_heads(two_backbones(), config)
    rows = {(c.head, c.backbone): c for c in result.candidates}
    assert list(rows)[-2:] == [("vote", "net + wide"), ("stack", "net + wide")]
    assert len(rows[("vote", "net + wide")].params["members"]) == 4
    assert all(c.status == "ok" and len(c.fold_scores) == 4 for c in result.candidates)
    assert result.comparison["folds"]["n_comparisons"] == 15
    assert result.document()["chosen"] in result.document()["candidates"]
    others = [c for c in result.candidates if c is not result.chosen]
    assert all(c.against_chosen["p_adjusted"] <= 1 for c in others)


def test_two_that_see_different_things_are_better_together():
    """Each backbone sees one of two coordinates that make four classes."""
    rng = np.random.default_rng(0)
    seen = np.repeat([(0, 0), (0, 1), (1, 0), (1, 1)], 12, axis=0)
    X = {
        name: (rng.normal(size=(48, 4)) + 6 * seen[:, [k]]).astype(np.float32)
        for k, name in enumerate("ab")
    }
    base = make_data([12] * 4)
    data = replace(base, X=X)
    config = FitConfig(head=["logreg"], ensemble=["vote"], param_grid={"logreg": {"C": [0.1]}},
                       cv=3, estimate="nested", calibrate="temperature")  # fmt: skip
    result = fit_heads(data, config)
    assert (result.chosen.head, result.chosen.backbone) == ("vote", "a + b")
    assert result.estimate["method"] == "nested"
    assert result.estimate["metrics"]["accuracy"]["value"] > 0.95
    assert isinstance(result.pipeline, EnsembleHead)
    both = np.hstack([X["a"], X["b"]])
    assert (result.pipeline.predict(both) == data.y).mean() > 0.95
    again = fit_heads(data, config.model_copy(update={"jobs": 1}))
    assert again.pipeline.predict_proba(both).tobytes() == (
        result.pipeline.predict_proba(both).tobytes()
    )
    assert again.estimate == result.estimate
    assert again.trust.document == result.trust.document


@pytest.mark.parametrize("estimate", ["holdout", "repeated", "cv"])
def test_every_estimate(estimate: str):
    config = FitConfig(
        head=["logreg", "lda"], sampler=["random-over"], seeds=2, ensemble=["stack"], members=3,
        param_grid=GRID, cv=3, estimate=estimate, repeats=2, calibrate="auto",
    )  # fmt: skip
    data = two_backbones()
    groups = np.arange(len(data.y)).astype(str)
    groups[:2] = "pair"
    result = fit_heads(replace(data, groups=groups), config)
    assert result.estimate["method"] == estimate
    assert {c.status for c in result.candidates} == {"ok"}
    if estimate == "holdout":
        others = [c for c in result.candidates if c is not result.chosen]
        assert all(c.against_chosen_tested is not None for c in others)


def test_of_equals_the_single_one_wins():
    config = FitConfig(head=["logreg", "lda"], ensemble=["vote", "stack"], cv=3, param_grid=GRID)
    result = fit_heads(two_backbones(distance=30.0), config)
    assert {c.cv_mean for c in result.candidates if c.backbone != "wide"} == {1.0}
    assert result.chosen.head == "logreg"


def test_too_few_folds_are_said():
    data = make_data([6, 6])
    config = FitConfig(
        head=["logreg", "lda"], ensemble=["vote"], cv=2, param_grid=GRID, estimate="cv"
    )
    result = fit_heads(data, config)
    assert [c.status for c in result.candidates] == ["ok", "ok", "refused"]
    assert "needs 3 folds" in result.candidates[2].notes[0]


def test_one_candidate_is_no_ensemble():
    config = FitConfig(ensemble=["vote"], cv=3, param_grid={"logreg": {"C": [0.01]}})
    result = fit_heads(make_data([9, 9]), config)
    assert len(result.candidates) == 1
    assert [n for n in result.notes if "and logreg + net is the only one" in n]
    assert result.estimate["method"] == "cv"


def test_a_member_that_fails_with_fewer_images_takes_only_the_ensemble_along(monkeypatch):
    """What cannot be fitted without two folds is still a candidate where one is held out."""
    import featx.fitting.executors as module

    prepare = module.prepare

    def fussy(projected, trial, **given):
        if trial.setup.backbone == "wide" and len(projected.y) < 30:
            raise module.RefusedError("too few")
        return prepare(projected, trial, **given)

    monkeypatch.setattr(module, "prepare", fussy)
    config = FitConfig(
        head=["logreg"], ensemble=["vote"], cv=4, param_grid={"logreg": {"C": [0.01]}},
        estimate="cv",
    )  # fmt: skip
    result = fit_heads(two_backbones(), config)
    assert [c.status for c in result.candidates] == ["ok", "ok", "refused"]
    assert "A member cannot be fitted: too few" in result.candidates[2].notes


def test_a_class_that_no_share_has_seen_is_impossible():
    """Of a class in one place only, the shares of its fold know nothing."""
    data = two_backbones((12, 12, 1))
    search = make_search(data, n_folds=3)
    stack = together(
        "stack", LOGREG, replace(LOGREG, setup=replace(LOGREG.setup, backbones=("wide",)))
    )
    run_trials(search, [stack], label="")
    [fold] = search.data.fold[search.part.y == 2]
    said: Outputs = search.outputs(stack, int(fold))
    assert (said.scores[:, 2] == 0).all()
    np.testing.assert_allclose(said.scores.sum(axis=1), 1)


def test_the_learning_curve_of_an_ensemble():
    """At every size its members learn from fewer images; the last size is the search's own."""
    rng = np.random.default_rng(0)
    seen = np.repeat([(0, 0), (0, 1), (1, 0), (1, 1)], 20, axis=0)
    X = {
        name: (rng.normal(size=(80, 4)) + 6 * seen[:, [k]]).astype(np.float32)
        for k, name in enumerate("ab")
    }
    config = FitConfig(
        ensemble=["stack"], param_grid={"logreg": {"C": [0.1]}}, cv=3, estimate="cv",
        learning_curve=True,
    )  # fmt: skip
    result = fit_heads(replace(make_data([20] * 4), X=X), config)
    assert result.chosen.head == "stack"
    sizes = result.learning_curve["sizes"]
    assert len(sizes) > 1
    (note,) = result.learning_curve["notes"]
    assert "uses the folds that candidates were selected on" in note
    values = [size["metrics"]["balanced_accuracy"]["value"] for size in sizes]
    assert values[-1] == pytest.approx(result.chosen.cv_mean)
    assert min(values) > 0.7


def test_voices_with_views_and_side_by_side():
    """Whatever a row trains on, its voice reads the columns of its backbones."""
    data = two_backbones()
    rng = np.random.default_rng(2)
    views = {
        name: (X[:, None] + rng.normal(size=(len(X), 2, X.shape[1])) / 5).astype(np.float32)
        for name, X in data.X.items()
    }
    config = FitConfig(ensemble=["vote"], param_grid={"logreg": {"C": [0.01]}}, cv=3, estimate="cv")
    result = fit_heads(replace(data, views=views).joined(), config)
    rows = [(c.head, c.backbone, c.views) for c in result.candidates]
    singles = ["net", "wide", "net + wide"]
    assert rows[:6] == [("logreg", b, v) for v in (0, 2) for b in singles]
    assert rows[6:] == [("vote", "net + wide", 0)]
    assert len(result.candidates[6].params["members"]) == 6

    search = make_search(replace(data, views=views).joined(), n_folds=3)
    setups = [Setup(b, "logreg", "none", "none", views=2) for b in search.part.competing]
    trials = [Trial(setup, (("C", 0.01),)) for setup in setups]
    vote = together("vote", *trials)
    run_trials(search, [vote], label="")
    refits = Refits(search)
    head = refits(vote)
    assert [voice.columns for voice in head.members] == [(0, 8), (8, 18), (0, 18)]
    expected = np.mean(
        [refits(t).predict_proba(search.part.embeddings(t.setup.backbones)) for t in trials], axis=0
    )
    both = search.part.embeddings(("net", "wide"))
    np.testing.assert_allclose(head.predict_proba(both), expected, atol=1e-6)
